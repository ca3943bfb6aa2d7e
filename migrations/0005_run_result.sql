-- A run's result is read whole for its layers only; lists and reports read what is left without
-- them, which is a twentieth.

CREATE TABLE run_result (
    run    INTEGER PRIMARY KEY REFERENCES run ON DELETE CASCADE,
    result TEXT NOT NULL -- JSON
) STRICT;
INSERT INTO run_result SELECT number, result FROM run WHERE result IS NOT NULL;

ALTER TABLE run RENAME COLUMN result TO summary;
UPDATE run SET summary = json_remove(summary, '$.layers', '$.sensitivity')
 WHERE summary IS NOT NULL;
