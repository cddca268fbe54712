-- 1 from the beginning of a restore to its end: the file holds a part of a backup, and no server
-- starts on it.
ALTER TABLE server ADD COLUMN restoring INTEGER NOT NULL DEFAULT 0 CHECK (restoring IN (0, 1));
