-- From the beginning of a restore to its end: the database holds a part of a backup, and no server
-- starts on it.
ALTER TABLE server ADD COLUMN restoring BOOLEAN NOT NULL DEFAULT FALSE;
