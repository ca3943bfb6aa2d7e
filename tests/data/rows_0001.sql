-- What a database of schema version 1 may hold: every table, and awkward values in them.
INSERT INTO model (number, id, name, owner, format, detail, bytes, created_ms) VALUES
    (3, 'sha256:97ff8a35544dcf40ad84047074439dd6aa3a0be469ea578a1b1c017d939ec61c', 'net ''quoted'' ü', 'ada', 'onnx', '{"inputs":[]}', 7, 1700000000000);
INSERT INTO dataset (number, id, name, owner, detail, bytes, samples, scale, zero_point, created_ms) VALUES
    (1, 'sha256:e152337e4e85aa3e81482f0ce329aec7bfad531413fe53fef84f1f0d4165caee', '', 'ada', '{}', 11, 0, 0.00390625, -128, 1700000000001),
    (9, 'sha256:efe77b201dc216c0edf435a227df2b2898d3f6ea1ff16e5d4d0d4ec0cf593271', 'evaluation', 'local', '{}', 10, 9223372036854775807, 1, 0, 1700000000002);
INSERT INTO token (name, role, digest, created_ms) VALUES
    ('ada', 'admin', '3c469e9d6c5875d37a43f353d4f88e61fcf812c66eee3457465a40b0da4153e0', 1700000000003);
INSERT INTO garbage (id) VALUES ('sha256:795b6904e54f82411df4b0e27a373a55eea3f9d66dac5a9bce1dd92f7b401da5');
