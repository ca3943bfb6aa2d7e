#pragma once

/* Choices that the pipeline and its layer rules have in common (pipeline.c). */

extern const char *const scheme_choices[];
extern const char *const weight_granularity_choices[];
extern const char *const weight_init_choices[];
extern const char *const observer_choices[];
