-- Jobs, their runs, and what runs made.

CREATE TABLE job (
    number             INTEGER PRIMARY KEY AUTOINCREMENT, -- the 17 of 'j17'; never used twice
    name               TEXT NOT NULL,
    owner              TEXT NOT NULL,
    priority           INTEGER NOT NULL,
    spec               TEXT NOT NULL, -- JSON, every default filled in
    model              TEXT NOT NULL, -- ids; what they name may be deleted once the job is done
    calibration        TEXT NOT NULL,
    calibration_labels TEXT,
    evaluation         TEXT,
    evaluation_labels  TEXT,
    cancel_requested   INTEGER NOT NULL DEFAULT 0,
    created_ms         INTEGER NOT NULL,
    started_ms         INTEGER,
    finished_ms        INTEGER, -- of the run that finished last
    -- Runs by state. All are queued at first; the trigger run_state keeps the counts.
    queued             INTEGER NOT NULL CHECK (queued >= 0),
    running            INTEGER NOT NULL DEFAULT 0 CHECK (running >= 0),
    succeeded          INTEGER NOT NULL DEFAULT 0 CHECK (succeeded >= 0),
    failed             INTEGER NOT NULL DEFAULT 0 CHECK (failed >= 0),
    cancelled          INTEGER NOT NULL DEFAULT 0 CHECK (cancelled >= 0),
    state              TEXT NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN queued > 0 AND running + succeeded + failed + cancelled = 0 THEN 'queued'
            WHEN queued + running > 0 THEN 'running'
            WHEN failed + cancelled = 0 THEN 'succeeded'
            WHEN succeeded > 0 THEN 'partial'
            WHEN cancelled > 0 THEN 'cancelled'
            ELSE 'failed'
        END) STORED
) STRICT;
CREATE INDEX job_owner ON job (owner, number);
CREATE INDEX job_state ON job (state, number);
-- All that the choice of the next run looks at.
CREATE INDEX job_waiting ON job (priority DESC, number, owner, queued) WHERE queued > 0;
CREATE INDEX job_busy ON job (owner, running) WHERE running > 0;
CREATE INDEX job_active ON job (number) WHERE queued + running > 0;

CREATE TABLE job_label (
    job   INTEGER NOT NULL REFERENCES job ON DELETE CASCADE,
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (job, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_label_value ON job_label (key, value, job);

-- A request that was sent twice with one key makes one job.
CREATE TABLE idempotency_key (
    owner   TEXT NOT NULL,
    key     TEXT NOT NULL,
    request TEXT NOT NULL, -- hex SHA-256 of the request
    job     INTEGER NOT NULL REFERENCES job ON DELETE CASCADE,
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_key_job ON idempotency_key (job);

CREATE TABLE variant (
    job     INTEGER NOT NULL REFERENCES job ON DELETE CASCADE,
    variant INTEGER NOT NULL,
    choices TEXT NOT NULL, -- JSON: the swept choices
    PRIMARY KEY (job, variant)
) STRICT, WITHOUT ROWID;

CREATE TABLE run (
    number          INTEGER PRIMARY KEY, -- order in the queue
    job             INTEGER NOT NULL,
    variant         INTEGER NOT NULL,
    seed            INTEGER NOT NULL,
    state           TEXT NOT NULL DEFAULT 'queued'
                    CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    attempts        INTEGER NOT NULL DEFAULT 0,
    crashes         INTEGER NOT NULL DEFAULT 0,
    worker          TEXT NOT NULL DEFAULT '',
    created_ms      INTEGER NOT NULL,
    started_ms      INTEGER,
    finished_ms     INTEGER,
    accuracy        REAL,
    loss            REAL,
    agreement       REAL,
    seconds         REAL,
    peak_rss_bytes  INTEGER,
    result          TEXT, -- JSON
    problem_code    TEXT,
    problem_message TEXT,
    problem_pointer TEXT,
    UNIQUE (job, variant, seed),
    FOREIGN KEY (job, variant) REFERENCES variant ON DELETE CASCADE
) STRICT;
CREATE INDEX run_queued ON run (job, number) WHERE state = 'queued';
CREATE INDEX run_running ON run (number) WHERE state = 'running';
CREATE INDEX run_failed ON run (job) WHERE state = 'failed';

CREATE TRIGGER run_state AFTER UPDATE OF state ON run WHEN OLD.state <> NEW.state BEGIN
    UPDATE job
       SET queued      = queued    + (NEW.state = 'queued')    - (OLD.state = 'queued'),
           running     = running   + (NEW.state = 'running')   - (OLD.state = 'running'),
           succeeded   = succeeded + (NEW.state = 'succeeded') - (OLD.state = 'succeeded'),
           failed      = failed    + (NEW.state = 'failed')    - (OLD.state = 'failed'),
           cancelled   = cancelled + (NEW.state = 'cancelled') - (OLD.state = 'cancelled'),
           started_ms  = coalesce(started_ms, NEW.started_ms),
           finished_ms = coalesce(NEW.finished_ms, finished_ms)
     WHERE number = NEW.job;
END;

CREATE TABLE artifact (
    run        INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
    name       TEXT NOT NULL,
    media_type TEXT NOT NULL,
    blob       TEXT NOT NULL, -- 'sha256:…'
    bytes      INTEGER NOT NULL,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX artifact_blob ON artifact (blob);

CREATE TRIGGER artifact_garbage AFTER DELETE ON artifact BEGIN
    INSERT OR IGNORE INTO garbage VALUES (OLD.blob);
END;
