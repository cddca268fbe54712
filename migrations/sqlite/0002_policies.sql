CREATE TABLE policies (
    name                  TEXT NOT NULL PRIMARY KEY,
    -- Rises with each change of any policy; the etag.
    revision              INTEGER NOT NULL,
    -- A name of a breaker, or a glob over names.
    selector              TEXT NOT NULL,
    priority              INTEGER NOT NULL,
    -- The values of the policy as JSON, with the keys of a configuration file.
    config                TEXT NOT NULL,
    created_at            INTEGER NOT NULL,
    -- NULL before the first change.
    updated_at            INTEGER
) STRICT;

-- The highest revision of the deletion of any policy.
ALTER TABLE server ADD COLUMN policy_revision_floor INTEGER NOT NULL DEFAULT 0;
