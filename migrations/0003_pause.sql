-- Jobs, and the queue as a whole, can be paused: no run of theirs is started.

ALTER TABLE job ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;
DROP INDEX job_waiting;
CREATE INDEX job_waiting ON job (priority DESC, number, owner, queued, paused)
    WHERE queued > 0 AND paused = 0;

-- One row: how the queue is.
CREATE TABLE queue (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    paused INTEGER NOT NULL
) STRICT;
INSERT INTO queue VALUES (1, 0);
