-- What lists and counts read, so that their cost does not grow with the jobs that are there.

CREATE INDEX job_owner_state ON job (owner, state, number);
-- The limit of queued runs sums these.
CREATE INDEX job_owner_queued ON job (owner, queued) WHERE queued > 0;

-- A label knows owner and state of its job: any combination of filters is one range of an index.
ALTER TABLE job_label ADD COLUMN job_owner TEXT NOT NULL DEFAULT '';
ALTER TABLE job_label ADD COLUMN job_state TEXT NOT NULL DEFAULT '';
UPDATE job_label SET (job_owner, job_state) =
    (SELECT owner, state FROM job WHERE number = job_label.job);
CREATE INDEX job_label_key ON job_label (key, job);
CREATE INDEX job_label_key_owner ON job_label (key, job_owner, job);
CREATE INDEX job_label_key_state ON job_label (key, job_state, job);
CREATE INDEX job_label_key_owner_state ON job_label (key, job_owner, job_state, job);
CREATE INDEX job_label_value_owner ON job_label (key, value, job_owner, job);
CREATE INDEX job_label_value_state ON job_label (key, value, job_state, job);
CREATE INDEX job_label_value_owner_state ON job_label (key, value, job_owner, job_state, job);

CREATE TRIGGER job_label_change AFTER UPDATE OF queued, running, succeeded, failed, cancelled ON job
    WHEN OLD.state <> NEW.state BEGIN
    UPDATE job_label SET job_state = NEW.state WHERE job = NEW.number;
END;

-- Jobs and runs by state, over everybody: one row, which triggers keep.
CREATE TABLE tally (
    one            INTEGER PRIMARY KEY CHECK (one = 1),
    jobs_queued    INTEGER NOT NULL,
    jobs_running   INTEGER NOT NULL,
    jobs_succeeded INTEGER NOT NULL,
    jobs_failed    INTEGER NOT NULL,
    jobs_cancelled INTEGER NOT NULL,
    jobs_partial   INTEGER NOT NULL,
    runs_queued    INTEGER NOT NULL,
    runs_running   INTEGER NOT NULL,
    runs_succeeded INTEGER NOT NULL,
    runs_failed    INTEGER NOT NULL,
    runs_cancelled INTEGER NOT NULL
) STRICT;

-- The same, counted.
CREATE VIEW tally_counted AS
    SELECT count(*) FILTER (WHERE state = 'queued')    AS jobs_queued,
           count(*) FILTER (WHERE state = 'running')   AS jobs_running,
           count(*) FILTER (WHERE state = 'succeeded') AS jobs_succeeded,
           count(*) FILTER (WHERE state = 'failed')    AS jobs_failed,
           count(*) FILTER (WHERE state = 'cancelled') AS jobs_cancelled,
           count(*) FILTER (WHERE state = 'partial')   AS jobs_partial,
           coalesce(sum(queued), 0)                    AS runs_queued,
           coalesce(sum(running), 0)                   AS runs_running,
           coalesce(sum(succeeded), 0)                 AS runs_succeeded,
           coalesce(sum(failed), 0)                    AS runs_failed,
           coalesce(sum(cancelled), 0)                 AS runs_cancelled
      FROM job;
INSERT INTO tally SELECT 1, * FROM tally_counted;

-- A new job and all its runs are queued.
CREATE TRIGGER job_tally_new AFTER INSERT ON job BEGIN
    UPDATE tally SET jobs_queued = jobs_queued + 1, runs_queued = runs_queued + NEW.queued;
END;
CREATE TRIGGER job_tally_change AFTER UPDATE OF queued, running, succeeded, failed, cancelled ON job
BEGIN
    UPDATE tally
       SET jobs_queued    = jobs_queued    + (NEW.state = 'queued')    - (OLD.state = 'queued'),
           jobs_running   = jobs_running   + (NEW.state = 'running')   - (OLD.state = 'running'),
           jobs_succeeded = jobs_succeeded + (NEW.state = 'succeeded') - (OLD.state = 'succeeded'),
           jobs_failed    = jobs_failed    + (NEW.state = 'failed')    - (OLD.state = 'failed'),
           jobs_cancelled = jobs_cancelled + (NEW.state = 'cancelled') - (OLD.state = 'cancelled'),
           jobs_partial   = jobs_partial   + (NEW.state = 'partial')   - (OLD.state = 'partial'),
           runs_queued    = runs_queued    + NEW.queued    - OLD.queued,
           runs_running   = runs_running   + NEW.running   - OLD.running,
           runs_succeeded = runs_succeeded + NEW.succeeded - OLD.succeeded,
           runs_failed    = runs_failed    + NEW.failed    - OLD.failed,
           runs_cancelled = runs_cancelled + NEW.cancelled - OLD.cancelled;
END;
CREATE TRIGGER job_tally_gone AFTER DELETE ON job BEGIN
    UPDATE tally
       SET jobs_queued    = jobs_queued    - (OLD.state = 'queued'),
           jobs_running   = jobs_running   - (OLD.state = 'running'),
           jobs_succeeded = jobs_succeeded - (OLD.state = 'succeeded'),
           jobs_failed    = jobs_failed    - (OLD.state = 'failed'),
           jobs_cancelled = jobs_cancelled - (OLD.state = 'cancelled'),
           jobs_partial   = jobs_partial   - (OLD.state = 'partial'),
           runs_queued    = runs_queued    - OLD.queued,
           runs_running   = runs_running   - OLD.running,
           runs_succeeded = runs_succeeded - OLD.succeeded,
           runs_failed    = runs_failed    - OLD.failed,
           runs_cancelled = runs_cancelled - OLD.cancelled;
END;
