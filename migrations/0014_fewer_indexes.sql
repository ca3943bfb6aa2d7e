-- A new job is a row of as few indexes as its readers need: each is a page of each commit.

-- What waits, owner by owner: the choice of the next run looks at the first job of each, the limit
-- of queued runs at all of one.
DROP INDEX job_waiting;
DROP INDEX job_owner_queued;
CREATE INDEX job_queued ON job (owner, paused, priority DESC, number, queued) WHERE queued > 0;

-- What is active either waits or is busy, which have an index each.
DROP INDEX job_active;

-- An estimate rests on runs that succeeded.
DROP INDEX job_model;
CREATE INDEX job_done_model ON job (model, number) WHERE succeeded > 0;
