-- What happened to a run, attempt by attempt. Runs of earlier versions have none.

CREATE TABLE run_log (
    run     INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    lines   TEXT NOT NULL, -- JSON: [{"time", "text"}]
    PRIMARY KEY (run, attempt)
) STRICT;
