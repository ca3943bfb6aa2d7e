"""Writes golden values as a C header: `NAME.py` makes `NAME.h` beside it.

    header = Header(__file__, "what the values are")
    header.array("float", "golden_values", values)
    header.write()
"""

import math
import os
import textwrap

import numpy as np


def literal(ctype, value):
    """A C literal that reads back as the same number."""
    if ctype not in ("float", "double"):
        return str(int(value))
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    text = np.format_float_positional(value, unique=True, trim="0") \
        if 1e-4 <= abs(value) < 1e7 or value == 0 else "%.*e" % (8 if ctype == "float" else 16, value)
    return text + ("f" if ctype == "float" else "")


class Header:
    def __init__(self, script, about):
        self.path = os.path.splitext(os.path.abspath(script))[0] + ".h"
        name = os.path.basename(script)
        self.lines = ["/* Made by tests/golden/%s: %s */" % (name, about),
                      "/* clang-format off */", "#pragma once", "", "#include <math.h>",
                      "#include <stdint.h>", ""]

    def text(self, text):
        """Declarations as they are."""
        self.lines += [text, ""]

    def constant(self, name, value):
        self.lines += ["enum { %s = %d };" % (name, value), ""]

    def array(self, ctype, name, values):
        """One axis, or two: rows in braces."""
        values = np.asarray(values)
        to = np.float32 if ctype == "float" else np.float64 if ctype == "double" else np.int64
        values = values.astype(to)
        dims = "".join("[%d]" % n for n in values.shape)
        self.lines.append("static const %s %s%s = {" % (ctype, name, dims))
        for row in values if values.ndim == 2 else [values]:
            text = ", ".join(literal(ctype, x) for x in row)
            text = "{%s}," % text if values.ndim == 2 else text
            self.lines += textwrap.wrap(text, 96, initial_indent="    ",
                                        subsequent_indent="    ", break_on_hyphens=False)
        self.lines += ["};", ""]

    def rows(self, struct, name, rows):
        """An array of structs; every row is a list of texts."""
        self.lines.append("static const struct %s %s[%d] = {" % (struct, name, len(rows)))
        for row in rows:
            self.lines += textwrap.wrap("{%s}," % ", ".join(row), 96, initial_indent="    ",
                                        subsequent_indent="     ", break_on_hyphens=False)
        self.lines += ["};", ""]

    def write(self):
        with open(self.path, "w") as file:
            file.write("\n".join(self.lines).rstrip() + "\n")
