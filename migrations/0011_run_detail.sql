-- What is looked at of one run at a time and large: curves, histograms, memory over time. JSON as it
-- is answered, apart from the result, which reports parse. Runs of earlier versions have none.

CREATE TABLE run_detail (
    run   INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
    name  TEXT NOT NULL, -- 'memory', 'losses' …
    value TEXT NOT NULL, -- JSON object
    PRIMARY KEY (run, name)
) STRICT;
