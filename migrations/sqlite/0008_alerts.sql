-- Which rules raise alerts about a policy's breakers, as JSON with the keys of a configuration file.
ALTER TABLE policies ADD COLUMN alerts TEXT NOT NULL DEFAULT '{}';

-- Alerts: those that fire, and the last that did.
CREATE TABLE alerts (
    id                    INTEGER NOT NULL PRIMARY KEY,
    -- Grows with each change of any alert.
    revision              INTEGER NOT NULL,
    -- state_change, prolonged_outage, flapping, forced_too_long, reporters_lost, storage_degraded
    rule                  TEXT NOT NULL,
    -- medium, high, critical
    severity              TEXT NOT NULL,
    -- NULL where it is about the server.
    breaker               TEXT,
    summary               TEXT NOT NULL,
    started_at            INTEGER NOT NULL,
    -- NULL while it fires.
    ended_at              INTEGER,
    -- When it was last told, and how often again.
    notified_at           INTEGER NOT NULL,
    repeat_count          INTEGER NOT NULL,
    -- Who has seen it; NULL while nobody has.
    seen_by               TEXT,
    seen_comment          TEXT,
    seen_at               INTEGER
) STRICT;
