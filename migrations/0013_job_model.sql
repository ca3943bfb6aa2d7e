-- Earlier runs of a model, newest first: what an estimate rests on.

CREATE INDEX job_model ON job (model, number);
