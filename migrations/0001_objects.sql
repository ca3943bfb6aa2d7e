-- Uploaded files, tokens, and the blobs that may have lost their last name.
-- Times are milliseconds since 1970. `number` is the order of insertion, which pages follow.

CREATE TABLE model (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE, -- 'sha256:…', names the blob
    name       TEXT NOT NULL,
    owner      TEXT NOT NULL,
    format     TEXT NOT NULL,
    detail     TEXT NOT NULL,        -- JSON
    bytes      INTEGER NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX model_owner ON model (owner, number);

CREATE TABLE dataset (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE, -- 'sha256:…', names the blob
    name       TEXT NOT NULL,
    owner      TEXT NOT NULL,
    detail     TEXT NOT NULL,        -- JSON
    bytes      INTEGER NOT NULL,
    samples    INTEGER NOT NULL,
    scale      REAL NOT NULL,
    zero_point REAL NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX dataset_owner ON dataset (owner, number);

CREATE TABLE token (
    name       TEXT PRIMARY KEY,
    role       TEXT NOT NULL CHECK (role IN ('read', 'submit', 'admin')),
    digest     TEXT NOT NULL UNIQUE, -- hex SHA-256 of the token
    created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Blobs whose row was deleted. The writer removes those that nothing names any more.
CREATE TABLE garbage (
    id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TRIGGER model_garbage AFTER DELETE ON model BEGIN
    INSERT OR IGNORE INTO garbage VALUES (OLD.id);
END;
CREATE TRIGGER dataset_garbage AFTER DELETE ON dataset BEGIN
    INSERT OR IGNORE INTO garbage VALUES (OLD.id);
END;
