-- The best accuracy of a job's runs is one look into an index, however many runs there are.

CREATE INDEX run_accuracy ON run (job, accuracy) WHERE accuracy IS NOT NULL;
