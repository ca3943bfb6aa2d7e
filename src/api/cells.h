#pragma once

/* What cells of tables for people hold. */

#include "table.h"

/* As much of the text as a cell takes, with "…" behind it when that is not all. */
void cell_text(const char *string, char out[static TABLE_CELL_BYTES]);

/* What follows is "–" for NaN: not known. */

/* Three digits with a unit that makes them readable. `units` ends in NULL; each is `base` times the
 * one before. */
void cell_scaled(double value, double base, const char *const *units,
                 char out[static TABLE_CELL_BYTES]);
void cell_bytes(double bytes, char out[static TABLE_CELL_BYTES]); /* "1.50 KiB" */
void cell_count(double count, char out[static TABLE_CELL_BYTES]); /* "2.31 M" */
/* "91.25" of 0.9125. */
void cell_percent(double fraction, char out[static TABLE_CELL_BYTES]);
/* "[####......]  42 %": both rounded down, so that full means finished. */
void cell_bar(double fraction, char out[static TABLE_CELL_BYTES]);
/* "37 s", "4 min 05 s", "2 h 05 min", "3 d 4 h". */
void cell_duration(double seconds, char out[static TABLE_CELL_BYTES]);
