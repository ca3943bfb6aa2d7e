#!/usr/bin/env python3
"""Writes a C table of the files given on the command line: embed_files.py OUT FILE..."""

import gzip
import hashlib
import os
import sys

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}


def c_array(name, data):
    lines = [",".join("%d" % byte for byte in data[i:i + 32]) for i in range(0, len(data), 32)]
    return "static const unsigned char %s[] = {\n    %s};\n" % (name, ",\n    ".join(lines))


def main():
    out, paths = sys.argv[1], sys.argv[2:]
    arrays, rows = [], []
    for index, path in enumerate(sorted(paths, key=os.path.basename)):
        name = os.path.basename(path)
        media_type = MEDIA_TYPES.get(os.path.splitext(name)[1])
        if media_type is None:
            sys.exit("%s: no media type is known for it" % path)
        with open(path, "rb") as file:
            data = file.read()
        # Without a time in it, so that the same sources give the same program.
        packed = gzip.compress(data, 9, mtime=0)
        arrays.append(c_array("file_%d" % index, data))
        if len(packed) < len(data):
            arrays.append(c_array("gzip_%d" % index, packed))
            compressed = "gzip_%d, sizeof(gzip_%d)" % (index, index)
        else:
            compressed = "NULL, 0"
        rows.append('    {"%s", "%s", "%s", file_%d, sizeof(file_%d), %s},'
                    % (name, media_type, hashlib.sha256(data).hexdigest()[:32], index, index,
                       compressed))
    with open(out, "w", encoding="utf-8") as file:
        file.write('#include "web_files.h"\n\n%s\nconst struct web_file web_files[] = {\n%s\n};\n'
                   'const size_t web_file_count = %d;\n'
                   % ("\n".join(arrays), "\n".join(rows), len(rows)))


main()
