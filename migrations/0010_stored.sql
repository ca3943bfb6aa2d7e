-- What is stored, in numbers: one row, which triggers keep. Rows of these tables never change their
-- size.

CREATE TABLE stored (
    one            INTEGER PRIMARY KEY CHECK (one = 1),
    models         INTEGER NOT NULL,
    model_bytes    INTEGER NOT NULL,
    datasets       INTEGER NOT NULL,
    dataset_bytes  INTEGER NOT NULL,
    artifacts      INTEGER NOT NULL, -- rows: a file that several name counts once for each
    artifact_bytes INTEGER NOT NULL
) STRICT;

-- The same, counted.
CREATE VIEW stored_counted AS
    SELECT (SELECT count(*) FROM model)                    AS models,
           (SELECT coalesce(sum(bytes), 0) FROM model)    AS model_bytes,
           (SELECT count(*) FROM dataset)                  AS datasets,
           (SELECT coalesce(sum(bytes), 0) FROM dataset)  AS dataset_bytes,
           (SELECT count(*) FROM artifact)                 AS artifacts,
           (SELECT coalesce(sum(bytes), 0) FROM artifact) AS artifact_bytes;
INSERT INTO stored SELECT 1, * FROM stored_counted;

CREATE TRIGGER model_stored_new AFTER INSERT ON model BEGIN
    UPDATE stored SET models = models + 1, model_bytes = model_bytes + NEW.bytes;
END;
CREATE TRIGGER model_stored_gone AFTER DELETE ON model BEGIN
    UPDATE stored SET models = models - 1, model_bytes = model_bytes - OLD.bytes;
END;
CREATE TRIGGER dataset_stored_new AFTER INSERT ON dataset BEGIN
    UPDATE stored SET datasets = datasets + 1, dataset_bytes = dataset_bytes + NEW.bytes;
END;
CREATE TRIGGER dataset_stored_gone AFTER DELETE ON dataset BEGIN
    UPDATE stored SET datasets = datasets - 1, dataset_bytes = dataset_bytes - OLD.bytes;
END;
CREATE TRIGGER artifact_stored_new AFTER INSERT ON artifact BEGIN
    UPDATE stored SET artifacts = artifacts + 1, artifact_bytes = artifact_bytes + NEW.bytes;
END;
CREATE TRIGGER artifact_stored_gone AFTER DELETE ON artifact BEGIN
    UPDATE stored SET artifacts = artifacts - 1, artifact_bytes = artifact_bytes - OLD.bytes;
END;
