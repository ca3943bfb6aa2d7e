-- Tells whether what was read of a job earlier is still so: grows with every change of the job's
-- row, and thereby with every change of its runs' states.

ALTER TABLE job ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER job_revision AFTER UPDATE ON job WHEN NEW.revision = OLD.revision BEGIN
    UPDATE job SET revision = revision + 1 WHERE number = NEW.number;
END;
