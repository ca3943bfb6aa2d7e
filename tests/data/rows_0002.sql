-- What version 2 may hold beyond that: jobs in every state, runs in every state, one with an artifact.
INSERT INTO job (number, name, owner, priority, spec, model, calibration, evaluation, created_ms, queued) VALUES
    (1, 'ends well', 'ada', 0, '{}', 'sha256:97ff8a35544dcf40ad84047074439dd6aa3a0be469ea578a1b1c017d939ec61c', 'sha256:e152337e4e85aa3e81482f0ce329aec7bfad531413fe53fef84f1f0d4165caee', 'sha256:efe77b201dc216c0edf435a227df2b2898d3f6ea1ff16e5d4d0d4ec0cf593271', 1700000001000, 2),
    (2, 'waits', 'ada', -100, '{}', 'sha256:97ff8a35544dcf40ad84047074439dd6aa3a0be469ea578a1b1c017d939ec61c', 'sha256:e152337e4e85aa3e81482f0ce329aec7bfad531413fe53fef84f1f0d4165caee', NULL, 1700000002000, 1),
    (5, 'is mixed', 'local', 100, '{}', 'sha256:97ff8a35544dcf40ad84047074439dd6aa3a0be469ea578a1b1c017d939ec61c', 'sha256:e152337e4e85aa3e81482f0ce329aec7bfad531413fe53fef84f1f0d4165caee', NULL, 1700000005000, 4),
    (6, 'failed', 'local', 0, '{}', 'sha256:97ff8a35544dcf40ad84047074439dd6aa3a0be469ea578a1b1c017d939ec61c', 'sha256:e152337e4e85aa3e81482f0ce329aec7bfad531413fe53fef84f1f0d4165caee', NULL, 1700000006000, 1);
INSERT INTO job_label (job, key, value) VALUES (1, 'team', 'red'), (5, 'team', '');
INSERT INTO idempotency_key (owner, key, request, job) VALUES ('ada', 'k1', '3c469e9d6c5875d37a43f353d4f88e61fcf812c66eee3457465a40b0da4153e0', 1);
INSERT INTO variant (job, variant, choices) VALUES
    (1, 0, '{}'), (2, 0, '{}'), (5, 0, '{"bits":2}'), (5, 1, '{"bits":4}'), (6, 0, '{}');
INSERT INTO run (number, job, variant, seed, created_ms) VALUES
    (1, 1, 0, 0, 1700000001000), (2, 1, 0, 7, 1700000001000), (3, 2, 0, 0, 1700000002000),
    (4, 5, 0, 0, 1700000005000), (5, 5, 0, 1, 1700000005000), (6, 5, 1, 0, 1700000005000),
    (7, 5, 1, 1, 1700000005000), (8, 6, 0, 0, 1700000006000);
UPDATE run SET state = 'running', started_ms = 1700000009000, attempts = 1, worker = 'worker-1'
    WHERE number IN (1, 2, 4, 5, 6, 8);
UPDATE run SET state = 'succeeded', finished_ms = 1700000010000, accuracy = 0.5, seconds = 2,
    result = '{"accuracy":0.5,"layers":[]}' WHERE number IN (1, 2, 4);
UPDATE run SET state = 'failed', finished_ms = 1700000010000, problem_code = 'unsupported',
    problem_message = 'no', problem_pointer = '/model' WHERE number IN (5, 8);
UPDATE run SET state = 'cancelled', finished_ms = 1700000010000 WHERE number = 6;
INSERT INTO artifact (run, name, media_type, blob, bytes) VALUES
    (1, 'model.onnx', 'application/octet-stream', 'sha256:326086a5d542fbb3f783c4d9182b3188caecd714d02d6c10cbdea982e2bfc409', 11);
