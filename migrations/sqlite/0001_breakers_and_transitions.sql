-- Times are nanoseconds since the Unix epoch; to read one:
--   SELECT name, datetime(since / 1000000000, 'unixepoch') FROM breakers;
-- The server is the only writer. What it reads here it checks, so that the sets of states, modes
-- and causes can grow without a change of the tables.

-- Says to whom the file belongs: "brkd".
PRAGMA application_id = 1651665764;

-- The lives of the server, and what is left of what was deleted. One row.
CREATE TABLE server (
    only_row              INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    -- How many lives began after one that had not ended.
    incarnation           INTEGER NOT NULL,
    -- 1 if the last life ended; 0 while one lasts, and after a crash.
    ended                 INTEGER NOT NULL CHECK (ended IN (0, 1)),
    -- The highest revision and generation of any deleted breaker.
    revision_floor        INTEGER NOT NULL,
    generation_floor      INTEGER NOT NULL,
    -- The highest id of any transition that was deleted for its age.
    trimmed_transition_id INTEGER NOT NULL
) STRICT;

INSERT INTO server VALUES (1, 0, 1, 0, 0, 0);

CREATE TABLE breakers (
    name                  TEXT NOT NULL PRIMARY KEY,
    revision              INTEGER NOT NULL,
    -- The revision that last changed own_config.
    config_revision       INTEGER NOT NULL,
    created_at            INTEGER NOT NULL,
    -- closed, open, half_open
    state                 TEXT NOT NULL,
    since                 INTEGER NOT NULL,
    generation            INTEGER NOT NULL,
    -- Only in open: when it ends by itself.
    retry_at              INTEGER,
    -- Only in half_open: the permits that are out, as JSON, and where the probes stand.
    permits               TEXT,
    probe_successes       INTEGER,
    next_permit_serial    INTEGER,
    failure_count         INTEGER NOT NULL,
    consecutive_failures  INTEGER NOT NULL,
    -- normal, forced_open, forced_closed, disabled, shadow; the others only where it is not normal
    mode                  TEXT NOT NULL,
    override_actor        TEXT,
    override_reason       TEXT,
    override_set_at       INTEGER,
    override_expires_at   INTEGER,
    -- The breaker's own configuration as JSON, with the keys of a configuration file.
    own_config            TEXT NOT NULL,
    -- Calls since the breaker was created.
    successes             INTEGER NOT NULL,
    failures              INTEGER NOT NULL,
    timeouts              INTEGER NOT NULL,
    ignored               INTEGER NOT NULL,
    late                  INTEGER NOT NULL,
    denied                INTEGER NOT NULL,
    -- The last ten outcomes, two bits each, the latest in the lowest.
    recent_calls          INTEGER NOT NULL,
    last_failure_at       INTEGER,
    last_failure_kind     TEXT,
    -- The last calls, the oldest first, 8 bytes each, little-endian: outcome in bits 0 and 1, slow
    -- in bit 2, nanoseconds above. NULL before the first call.
    window_calls          BLOB
) STRICT;

CREATE TABLE transitions (
    -- Rises with each transition; the order in which they happened.
    id                    INTEGER NOT NULL PRIMARY KEY,
    breaker               TEXT NOT NULL,
    revision              INTEGER NOT NULL,
    generation            INTEGER NOT NULL,
    from_state            TEXT NOT NULL,
    to_state              TEXT NOT NULL,
    from_mode             TEXT NOT NULL,
    to_mode               TEXT NOT NULL,
    cause                 TEXT NOT NULL,
    actor                 TEXT NOT NULL,
    reason                TEXT NOT NULL,
    at                    INTEGER NOT NULL,
    failure_count         INTEGER NOT NULL,
    consecutive_failures  INTEGER NOT NULL,
    success_count         INTEGER NOT NULL,
    window_calls          INTEGER NOT NULL,
    window_failures       INTEGER NOT NULL
) STRICT;

-- The primary key is part of every index: this one yields the ids of a breaker in order.
CREATE INDEX transitions_of_breaker ON transitions (breaker);
