#!/bin/sh
# Debian's ONNX checker, with shape inference, on one file with each operator; skipped where it is
# not installed.
#
#   check_models.sh EXPORT_SKETCHES
set -u
python=/usr/bin/python3
"$python" -c 'import onnx' 2>/dev/null || exit 77
out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT
"$1" "$out" || exit 1
"$python" - "$out"/*.onnx <<'PROGRAM'
import sys, onnx
for path in sys.argv[1:]:
    try:
        onnx.checker.check_model(path, full_check=True)
    except Exception as problem:
        sys.exit(f"{path.rsplit('/', 1)[1]}: {problem}")
print(len(sys.argv) - 1, "files pass")
PROGRAM
