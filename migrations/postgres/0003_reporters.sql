-- Which reports were counted: no commit writes a breaker before the reporters whose reports it holds.
-- An id is the bytes of a text; to read one: SELECT encode(id, 'escape'), highest FROM reporters;
CREATE TABLE reporters (
    id                    BYTEA NOT NULL PRIMARY KEY,
    -- The highest sequence number that was counted.
    highest               BIGINT NOT NULL,
    -- 128 bits, little-endian: bit n says whether the number n below the highest was counted.
    recent                BYTEA NOT NULL,
    -- When the last report came that was counted. No index: it changes with every report.
    heard_at              BIGINT NOT NULL
-- Rows are written again and again: with room on their page, no index has to change.
) WITH (fillfactor = 70);
