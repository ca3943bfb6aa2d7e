#pragma once

/* The laws of model files, for the fuzz targets of each format. */

#include <stddef.h>
#include <stdint.h>

/* What is refused has a message and a code that blames the file (or its size), never this program;
 * what is accepted has shapes that can be counted and, if small, executes. */
void model_laws_check(const uint8_t *bytes, size_t size);
