-- When a breaker that was made by its first use was used last; up to ten minutes before that where it
-- was only asked for leave. NULL for one that stays however long nobody uses it: that an admin
-- created or configured, or that is from before this column.
ALTER TABLE breakers ADD COLUMN used_at BIGINT;
