#!/usr/bin/env python3
"""Writes a C table of the migrations given on the command line: embed_migrations.py OUT SQL..."""

import os
import re
import sys


def c_array(text):
    """Bytes rather than a literal: C promises no more than 4095 characters in one."""
    data = text.encode("utf-8") + b"\0"
    numbers = ["%d" % (byte if byte < 128 else byte - 256) for byte in data]
    lines = [", ".join(numbers[i:i + 20]) for i in range(0, len(numbers), 20)]
    return ",\n    ".join(lines)


def main():
    out, paths = sys.argv[1], sys.argv[2:]
    arrays, rows = [], []
    for version, path in enumerate(paths, start=1):
        name = os.path.basename(path)
        match = re.fullmatch(r"(\d{4})_[a-z0-9_]+\.sql", name)
        if match is None or int(match.group(1)) != version:
            sys.exit("%s: expected %04d_<what>.sql here" % (path, version))
        with open(path, encoding="utf-8") as file:
            arrays.append("static const char sql_%d[] = {\n    %s};\n"
                          % (version, c_array(file.read())))
        rows.append('    {%d, "%s", sql_%d},' % (version, name, version))
    with open(out, "w", encoding="utf-8") as file:
        file.write('#include "schema.h"\n\n%s\nconst struct migration migrations[] = {\n%s\n};\n'
                   'const int migration_count = %d;\n'
                   % ("\n".join(arrays), "\n".join(rows), len(rows)))


main()
