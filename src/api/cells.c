#include "cells.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CELL_BYTES = TABLE_CELL_BYTES };

/* True when the value is not known, which the cell then says. */
static bool is_unknown(double value, char out[static CELL_BYTES])
{
    if (isnan(value))
        (void)snprintf(out, CELL_BYTES, "–");
    return isnan(value);
}

void cell_text(const char *string, char out[static CELL_BYTES])
{
    enum { CHARACTERS = 40 };
    static const char more[] = "…";
    size_t length = 0, kept = 0; /* kept: with which `more` fits */
    for (int count = 0; string[length] != '\0'; count++) {
        uint32_t code;
        size_t step = text_character(string + length, &code);
        if (count == CHARACTERS || length + step >= CELL_BYTES)
            break;
        length += step;
        if (count < CHARACTERS - 1 && length + sizeof(more) <= CELL_BYTES)
            kept = length;
    }
    if (string[length] == '\0')
        memcpy(out, string, length + 1);
    else
        (void)snprintf(out, CELL_BYTES, "%.*s%s", (int)kept, string, more);
}

void cell_scaled(double value, double base, const char *const *units, char out[static CELL_BYTES])
{
    if (is_unknown(value, out))
        return;
    bool whole = value < base && floor(value) >= value;
    while (value >= base && units[1] != NULL) {
        value /= base;
        units++;
    }
    int digits = whole || value >= 100 ? 0 : value >= 10 ? 1 : 2; /* behind the point */
    (void)snprintf(out, CELL_BYTES, "%.*f%s", digits, value, *units);
}

void cell_bytes(double bytes, char out[static CELL_BYTES])
{
    static const char *const units[] = {" B", " KiB", " MiB", " GiB", NULL};
    cell_scaled(bytes, 1024, units, out);
}

void cell_count(double count, char out[static CELL_BYTES])
{
    static const char *const units[] = {"", " k", " M", " G", " T", NULL};
    cell_scaled(count, 1000, units, out);
}

void cell_percent(double fraction, char out[static CELL_BYTES])
{
    if (!is_unknown(fraction, out))
        (void)snprintf(out, CELL_BYTES, "%.2f", 100 * fraction);
}

void cell_bar(double fraction, char out[static CELL_BYTES])
{
    enum { WIDTH = 10 };
    static const char full[] = "##########", rest[] = "..........";
    if (is_unknown(fraction, out))
        return;
    fraction = fmin(fmax(fraction, 0), 1);
    int filled = (int)(WIDTH * fraction);
    (void)snprintf(out, CELL_BYTES, "[%.*s%.*s] %3d %%", filled, full, WIDTH - filled, rest,
                   (int)(100 * fraction));
}

void cell_duration(double seconds, char out[static CELL_BYTES])
{
    if (is_unknown(seconds, out))
        return;
    int64_t whole = (int64_t)ceil(fmin(fmax(seconds, 0), 1e15));
    if (whole < 60)
        (void)snprintf(out, CELL_BYTES, "%" PRId64 " s", whole);
    else if (whole < 3600)
        (void)snprintf(out, CELL_BYTES, "%" PRId64 " min %02" PRId64 " s", whole / 60, whole % 60);
    else if (whole < 86400)
        (void)snprintf(out, CELL_BYTES, "%" PRId64 " h %02" PRId64 " min", whole / 3600,
                       whole / 60 % 60);
    else
        (void)snprintf(out, CELL_BYTES, "%" PRId64 " d %" PRId64 " h", whole / 86400,
                       whole / 3600 % 24);
}
