-- Limits of a token's owner: 0 as the daemon's settings are, -1 none.

ALTER TABLE token ADD COLUMN queued_runs INTEGER NOT NULL DEFAULT 0 CHECK (queued_runs >= -1);
ALTER TABLE token ADD COLUMN running_runs INTEGER NOT NULL DEFAULT 0 CHECK (running_runs >= -1);
ALTER TABLE token ADD COLUMN stored_bytes INTEGER NOT NULL DEFAULT 0 CHECK (stored_bytes >= -1);
