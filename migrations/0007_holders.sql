-- The same file uploaded by several owners is one model or data set that each of them holds, under a
-- name of their own; it goes with the last holder. `number` is the order in which an owner came by
-- it, which the pages of that owner follow.

CREATE TABLE model_holder (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    model      TEXT NOT NULL REFERENCES model (id) ON DELETE CASCADE,
    owner      TEXT NOT NULL,
    name       TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    UNIQUE (model, owner)
) STRICT;
CREATE INDEX model_holder_owner ON model_holder (owner, number);
INSERT INTO model_holder (model, owner, name, created_ms)
    SELECT id, owner, name, created_ms FROM model ORDER BY number;

-- What depends on the scale belongs to the holder: range (in `detail`), scale, zero point.
CREATE TABLE dataset_holder (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    dataset    TEXT NOT NULL REFERENCES dataset (id) ON DELETE CASCADE,
    owner      TEXT NOT NULL,
    name       TEXT NOT NULL,
    detail     TEXT NOT NULL, -- JSON
    scale      REAL NOT NULL,
    zero_point REAL NOT NULL,
    created_ms INTEGER NOT NULL,
    UNIQUE (dataset, owner)
) STRICT;
CREATE INDEX dataset_holder_owner ON dataset_holder (owner, number);
INSERT INTO dataset_holder (dataset, owner, name, detail, scale, zero_point, created_ms)
    SELECT id, owner, name, detail, scale, zero_point, created_ms FROM dataset ORDER BY number;

-- `created_ms` stays: when somebody last came by it, for retention.
DROP INDEX model_owner;
ALTER TABLE model DROP COLUMN name;
ALTER TABLE model DROP COLUMN owner;
DROP INDEX dataset_owner;
ALTER TABLE dataset DROP COLUMN name;
ALTER TABLE dataset DROP COLUMN owner;
ALTER TABLE dataset DROP COLUMN detail;
ALTER TABLE dataset DROP COLUMN scale;
ALTER TABLE dataset DROP COLUMN zero_point;
