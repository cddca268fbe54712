-- Times are nanoseconds since 1970, UTC. Words are those of breaker.v1 in lower case.

-- The one row of the server's life.
CREATE TABLE server (
    one                   INTEGER PRIMARY KEY CHECK (one = 1),
    -- Lives that did not end by closing the store.
    incarnation           INTEGER NOT NULL,
    -- 1 while no server runs and the last one ended properly.
    is_closed             INTEGER NOT NULL,
    -- The highest revision and generation of any deleted breaker.
    revision_floor        INTEGER NOT NULL,
    generation_floor      INTEGER NOT NULL,
    -- The highest transition that was deleted for its age.
    trimmed_transition_id INTEGER NOT NULL
) STRICT;

INSERT INTO server VALUES (1, 0, 1, 0, 0, 0);

CREATE TABLE breakers (
    name            TEXT PRIMARY KEY,
    state           TEXT NOT NULL,
    mode            TEXT NOT NULL,
    generation      INTEGER NOT NULL,
    revision        INTEGER NOT NULL,
    config_revision INTEGER NOT NULL,
    since           INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    -- JSON: the breaker's own configuration, with the keys of a configuration file.
    own_config      TEXT NOT NULL,
    -- JSON: what else belongs to the state, and the metrics.
    detail          TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE transitions (
    id                   INTEGER PRIMARY KEY,
    breaker              TEXT NOT NULL,
    revision             INTEGER NOT NULL,
    generation           INTEGER NOT NULL,
    from_state           TEXT NOT NULL,
    to_state             TEXT NOT NULL,
    from_mode            TEXT NOT NULL,
    to_mode              TEXT NOT NULL,
    cause                TEXT NOT NULL,
    actor                TEXT NOT NULL,
    reason               TEXT NOT NULL,
    at                   INTEGER NOT NULL,
    failure_count        INTEGER NOT NULL,
    consecutive_failures INTEGER NOT NULL,
    success_count        INTEGER NOT NULL,
    window_calls         INTEGER NOT NULL,
    window_failures      INTEGER NOT NULL
) STRICT;

CREATE INDEX transitions_of_breaker ON transitions (breaker, id);
