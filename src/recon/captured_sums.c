/* Passes over captured values. */

#include "ptqd/recon/captured_sums.h"

#include "ptqd/kern/statistics.h"

#include <math.h>

/* What is done with the values of a chunk; `other` belongs to a second tensor, or is NULL. */
typedef void chunk_function(void *context, const float *values, const float *other, int64_t first,
                            int64_t count);

static bool go_through(const struct captured *captured, const struct captured *other,
                       struct arena *scratch, chunk_function *look, void *context,
                       struct error *err)
{
    struct arena_mark mark = arena_mark(scratch);
    struct captured_reader reader, other_reader = {.of = NULL};
    int64_t elements = captured->elements, chunk = captured_chunk(elements);
    if (!captured_open(captured, chunk, scratch, &reader, err) ||
        (other && !captured_open(other, chunk, scratch, &other_reader, err)))
        return false;
    for (int64_t first = 0; first < captured->samples; first += chunk) {
        int64_t left = captured->samples - first, count = left < chunk ? left : chunk;
        const float *values = captured_at(&reader, first, count, err);
        const float *others = other ? captured_at(&other_reader, first, count, err) : NULL;
        if (!values || (other && !others))
            return false;
        look(context, values, others, first * elements, count * elements);
    }
    arena_reset(scratch, mark);
    return true;
}

static void add_error(void *context, const float *values, const float *other, int64_t first,
                      int64_t count)
{
    struct signal_noise *sum = context, part = signal_noise_f32(values, other, count);
    (void)first; /* wherever they are, as in those below */
    sum->signal += part.signal;
    sum->noise += part.noise;
}

bool captured_add_error(const struct captured *reference, const struct captured *values,
                        struct arena *scratch, double *signal, double *noise, struct error *err)
{
    struct signal_noise sum = {0.0, 0.0};
    if (!go_through(reference, values, scratch, add_error, &sum, err))
        return false;
    *signal += sum.signal;
    *noise += sum.noise;
    return true;
}

struct channels {
    int64_t K;
    double *sums, *squares;
};

static void add_channels(void *context, const float *values, const float *other, int64_t first,
                         int64_t count)
{
    const struct channels *channels = context;
    (void)other, (void)first;
    const struct channel_rows rows = {count / channels->K, channels->K, channels->K};
    channel_moments_f32(values, &rows, channels->sums, channels->squares);
}

bool captured_add_channels(const struct captured *captured, int64_t K, struct arena *scratch,
                           double *sums, double *squares, struct error *err)
{
    struct channels channels = {K, sums, squares};
    return go_through(captured, NULL, scratch, add_channels, &channels, err);
}

static const struct captured_extremes nothing_yet = {.min = HUGE_VAL, .max = -HUGE_VAL};

static void find_extremes(void *context, const float *values, const float *other, int64_t first,
                          int64_t count)
{
    struct captured_extremes *extremes = context;
    float min, max;
    (void)other, (void)first;
    if (!extremes_f32(values, (size_t)count, &min, &max) && extremes->odd == 0.0f)
        for (int64_t i = count - 1; i >= 0; i--)
            extremes->odd = isfinite(values[i]) ? extremes->odd : values[i];
    extremes->min = fmin(extremes->min, (double)min);
    extremes->max = fmax(extremes->max, (double)max);
}

struct captured_extremes extremes_of(const float *values, int64_t count)
{
    struct captured_extremes extremes = nothing_yet;
    if (count > 0)
        find_extremes(&extremes, values, NULL, 0, count);
    return extremes;
}

bool captured_find_extremes(const struct captured *captured, struct arena *scratch,
                            struct captured_extremes *out_extremes, struct error *err)
{
    struct captured_extremes extremes = nothing_yet;
    if (captured->elements > 0 &&
        !go_through(captured, NULL, scratch, find_extremes, &extremes, err))
        return false;
    *out_extremes = extremes;
    return true;
}

static void add_histogram(void *context, const float *values, const float *other, int64_t first,
                          int64_t count)
{
    (void)other, (void)first;
    histogram_add(context, values, (size_t)count);
}

bool captured_add_histogram(const struct captured *captured, struct arena *scratch,
                            struct histogram *histogram, struct error *err)
{
    return go_through(captured, NULL, scratch, add_histogram, histogram, err);
}

struct pick {
    float *values;
    int64_t wanted, of, next;
};

static int64_t place_of(const struct pick *pick)
{
    return (int64_t)((double)pick->of * (double)pick->next / (double)pick->wanted);
}

static void pick_some(void *context, const float *values, const float *other, int64_t first,
                      int64_t count)
{
    struct pick *pick = context;
    (void)other;
    for (; pick->next < pick->wanted && place_of(pick) < first + count; pick->next++)
        pick->values[pick->next] = values[place_of(pick) - first];
}

bool captured_pick(const struct captured *captured, struct arena *scratch, int64_t count,
                   float *out_values, struct error *err)
{
    struct pick pick = {
        .values = out_values,
        .wanted = count,
        .of = captured->samples * captured->elements,
    };
    return go_through(captured, NULL, scratch, pick_some, &pick, err);
}
