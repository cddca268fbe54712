-- What the rules of a breaker remember.

-- Only in half_open: how many probes failed, and where the ramp stands, as JSON.
ALTER TABLE breakers ADD COLUMN probe_failures INTEGER;
ALTER TABLE breakers ADD COLUMN ramp TEXT;
-- A metrics window over time, as JSON; window_calls is empty then.
ALTER TABLE breakers ADD COLUMN window_buckets TEXT;
-- What adaptive breakers, levels, rates and quorums remember, as JSON; NULL where no rule needs to.
ALTER TABLE breakers ADD COLUMN memory TEXT;

-- The names of the levels before and after; NULL without levels.
ALTER TABLE transitions ADD COLUMN from_level TEXT;
ALTER TABLE transitions ADD COLUMN to_level TEXT;
