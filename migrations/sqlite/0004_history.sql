-- The history is read backwards in time: all of it, or that of a breaker, a cause or an actor. The
-- primary key is the last column of every index, so that each yields its transitions by (at, id).

DROP INDEX transitions_of_breaker;

CREATE INDEX transitions_by_time ON transitions (at);
CREATE INDEX transitions_of_breaker ON transitions (breaker, at);
CREATE INDEX transitions_of_cause ON transitions (cause, at);
-- Nobody is named for most of them.
CREATE INDEX transitions_of_actor ON transitions (actor, at) WHERE actor <> '';
