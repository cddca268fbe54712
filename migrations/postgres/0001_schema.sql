-- Times are nanoseconds since the Unix epoch; to read one:
--   SELECT name, to_timestamp(since / 1e9) FROM breakers;
-- Only a server that leads writes here, and every one of its writes checks that it still does. What
-- it reads it checks, so that the sets of states, modes and causes can grow without a change of the
-- tables.

-- Who leads. One row.
CREATE TABLE lease (
    only_row              BOOLEAN NOT NULL PRIMARY KEY DEFAULT TRUE CHECK (only_row),
    -- Grows by one whenever the lead changes hands. Every write checks that it is still its own.
    fence                 BIGINT NOT NULL,
    -- Grows as long as the server that leads is alive and reaches the database.
    beat                  BIGINT NOT NULL,
    -- The server that leads and where clients reach it; NULL if it gave up the lead.
    holder                TEXT,
    address               TEXT
);

INSERT INTO lease (fence, beat) VALUES (0, 0);

-- The servers that stand by, for the one that leads.
CREATE TABLE standbys (
    id                    TEXT NOT NULL PRIMARY KEY,
    address               TEXT NOT NULL,
    -- Grows as long as the server is alive and reaches the database.
    beat                  BIGINT NOT NULL,
    -- When that was last, for people and for forgetting the dead.
    seen_at               TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- The lives of servers that led, and what is left of what was deleted. One row.
CREATE TABLE server (
    only_row              BOOLEAN NOT NULL PRIMARY KEY DEFAULT TRUE CHECK (only_row),
    -- How many lives began after one that had not ended.
    incarnation           BIGINT NOT NULL,
    -- Whether the last life ended; false while one lasts, and after a crash.
    ended                 BOOLEAN NOT NULL,
    -- The highest revision and generation of any deleted breaker.
    revision_floor        BIGINT NOT NULL,
    generation_floor      BIGINT NOT NULL,
    -- The highest id of any transition that was deleted for its age.
    trimmed_transition_id BIGINT NOT NULL,
    -- The highest revision of the deletion of any policy.
    policy_revision_floor BIGINT NOT NULL
);

INSERT INTO server VALUES (TRUE, 0, TRUE, 0, 0, 0, 0);

CREATE TABLE breakers (
    name                  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision              BIGINT NOT NULL,
    -- The revision that last changed own_config.
    config_revision       BIGINT NOT NULL,
    created_at            BIGINT NOT NULL,
    -- closed, open, half_open
    state                 TEXT NOT NULL,
    since                 BIGINT NOT NULL,
    generation            BIGINT NOT NULL,
    -- Only in open: when it ends by itself.
    retry_at              BIGINT,
    -- Only in half_open: the permits that are out, as JSON, how the probes went, and where the ramp
    -- stands, as JSON.
    permits               TEXT,
    probe_successes       BIGINT,
    next_permit_serial    BIGINT,
    probe_failures        BIGINT,
    ramp                  TEXT,
    failure_count         BIGINT NOT NULL,
    consecutive_failures  BIGINT NOT NULL,
    -- normal, forced_open, forced_closed, disabled, shadow; the others only where it is not normal
    mode                  TEXT NOT NULL,
    override_actor        TEXT,
    override_reason       TEXT,
    override_set_at       BIGINT,
    override_expires_at   BIGINT,
    -- The breaker's own configuration as JSON, with the keys of a configuration file.
    own_config            TEXT NOT NULL,
    -- Calls since the breaker was created.
    successes             BIGINT NOT NULL,
    failures              BIGINT NOT NULL,
    timeouts              BIGINT NOT NULL,
    ignored               BIGINT NOT NULL,
    late                  BIGINT NOT NULL,
    denied                BIGINT NOT NULL,
    -- The last ten outcomes, two bits each, the latest in the lowest.
    recent_calls          BIGINT NOT NULL,
    last_failure_at       BIGINT,
    last_failure_kind     TEXT,
    -- The last calls, the oldest first, 8 bytes each, little-endian: outcome in bits 0 and 1, slow
    -- in bit 2, nanoseconds above. NULL before the first call; empty for a window over time.
    window_calls          BYTEA,
    -- A metrics window over time, as JSON.
    window_buckets        TEXT,
    -- What adaptive breakers, levels, rates and quorums remember, as JSON; NULL where no rule needs
    -- to.
    memory                TEXT
-- Rows are written again and again: with room on their page, no index has to change.
) WITH (fillfactor = 70);

CREATE TABLE transitions (
    -- Rises with each transition; the order in which they happened.
    id                    BIGINT NOT NULL PRIMARY KEY,
    breaker               TEXT COLLATE "C" NOT NULL,
    revision              BIGINT NOT NULL,
    generation            BIGINT NOT NULL,
    from_state            TEXT NOT NULL,
    to_state              TEXT NOT NULL,
    from_mode             TEXT NOT NULL,
    to_mode               TEXT NOT NULL,
    cause                 TEXT NOT NULL,
    actor                 TEXT NOT NULL,
    reason                TEXT NOT NULL,
    at                    BIGINT NOT NULL,
    failure_count         BIGINT NOT NULL,
    consecutive_failures  BIGINT NOT NULL,
    success_count         BIGINT NOT NULL,
    window_calls          BIGINT NOT NULL,
    window_failures       BIGINT NOT NULL,
    -- The names of the levels before and after; NULL without levels.
    from_level            TEXT,
    to_level              TEXT
);

-- The history is read backwards in time: all of it, or that of a breaker, a cause or an actor.
CREATE INDEX transitions_by_time ON transitions (at, id);
CREATE INDEX transitions_of_breaker ON transitions (breaker, at, id);
CREATE INDEX transitions_of_cause ON transitions (cause, at, id);
-- Nobody is named for most of them.
CREATE INDEX transitions_of_actor ON transitions (actor, at, id) WHERE actor <> '';

CREATE TABLE policies (
    name                  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- Rises with each change of any policy; the etag.
    revision              BIGINT NOT NULL,
    -- A name of a breaker, or a glob over names.
    selector              TEXT NOT NULL,
    priority              BIGINT NOT NULL,
    -- The values of the policy as JSON, with the keys of a configuration file.
    config                TEXT NOT NULL,
    created_at            BIGINT NOT NULL,
    -- NULL before the first change.
    updated_at            BIGINT
);
