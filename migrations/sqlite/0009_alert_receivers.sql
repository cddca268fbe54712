-- How far the receivers of alerts were told.
CREATE TABLE alert_receivers (
    name                  TEXT NOT NULL PRIMARY KEY,
    -- The revision of the last change of an alert that the receiver knows, or that was given up.
    told                  INTEGER NOT NULL
) STRICT;
