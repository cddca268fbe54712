-- Which reports were counted: no commit writes a breaker before the reporters whose reports it holds.
-- An id is the bytes of a text; to read one: SELECT CAST(id AS TEXT), highest FROM reporters;
CREATE TABLE reporters (
    id                    BLOB NOT NULL PRIMARY KEY,
    -- The highest sequence number that was counted.
    highest               INTEGER NOT NULL,
    -- 128 bits, little-endian: bit n says whether the number n below the highest was counted.
    recent                BLOB NOT NULL,
    -- When the last report came that was counted. No index: it changes with every report.
    heard_at              INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
