/* Maps of samples side by side (gram_lanes.h): a matrix whose rows are samples is turned, 16 × 16
 * lanes at a time. Codes of four samples are brought together before. */

#include "gram_lanes.h"
#include "simd.h"
#include "sizes.h"

#include <string.h>

enum {
    PIECE = 128,    /* elements of a sample at once; a multiple of GRAM_LANES */
    FOLD_MOST = 64, /* parts of a sample */
};

bool gram_lanes_may_pay(const struct conv_shape *samples)
{
    enum { CHANNELS = 16 };
    int64_t taps = samples->R * samples->S;
    return samples->C / samples->G <= CHANNELS && taps > 1 && taps <= GRAM_LANES_TAPS;
}

static struct conv_shape parts_of(const struct conv_shape *samples, int64_t fold)
{
    struct conv_shape parts = *samples;
    if (fold == 1)
        return parts;
    parts.N = samples->N * fold;
    parts.OH = samples->OH / fold;
    parts.H = (parts.OH - 1) * parts.stride_h + (parts.R - 1) * parts.dilation_h + 1;
    parts.pad_top = parts.pad_bottom = 0;
    return parts;
}

int64_t gram_lanes_products(const struct gram_lanes *lanes, int64_t vector)
{
    const struct conv_shape *parts = &lanes->parts;
    int64_t C = parts->C / parts->G, N = lanes->samples.N > 1 ? lanes->samples.N : 1;
    return round_up(N * lanes->fold, vector) * gram_shift_places(parts) * C * C / N;
}

struct gram_lanes gram_lanes_of(const struct conv_shape *samples, int64_t vector)
{
    struct gram_lanes best = {.samples = *samples, .parts = *samples, .fold = 1};
    int64_t fewest = gram_lanes_products(&best, vector);
    for (int64_t fold = 2; fold <= FOLD_MOST && samples->N * fold <= 8 * vector; fold++) {
        struct gram_lanes lanes = {*samples, parts_of(samples, fold), fold};
        if (samples->OH % fold != 0 || gram_lanes_products(&lanes, vector) >= fewest)
            continue;
        best = lanes;
        fewest = gram_lanes_products(&best, vector);
    }
    return best;
}

int64_t gram_lanes_cost(const struct conv_shape *samples, int64_t vector,
                        const struct gram_lanes_prices *prices)
{
    if (samples->N == 0 || !gram_lanes_may_pay(samples))
        return INT64_MAX;
    struct gram_lanes lanes = gram_lanes_of(samples, vector);
    return gram_lanes_products(&lanes, vector) * prices->halves / 2 +
           samples->H * samples->W * (samples->C / samples->G) * prices->turning +
           conv_column_elements(samples) * prices->column / samples->N;
}

int64_t gram_lanes_map_vectors(const struct conv_shape *shape, int64_t most)
{
    int64_t rows = (shape->R - 1) * shape->dilation_h + 1;
    int64_t columns = (shape->S - 1) * shape->dilation_w + 1, one = rows * columns * shape->C;
    return one > most ? one : most;
}

/* Where a part is. */
struct part {
    int64_t sample; /* its first element, of the band's columns, or NONE */
    int64_t row;    /* of the sample, where the part's map starts */
};
enum { NONE = -1 };

static void find_parts(const struct gram_lanes *lanes, const struct gram_shift *shift,
                       int64_t first, int64_t count, struct part *out)
{
    const struct conv_shape *shape = &lanes->samples;
    int64_t step = lanes->parts.OH * shape->stride_h, elements = shape->H * shape->W * shape->C;
    for (int64_t i = 0; i < count; i++) {
        int64_t n = (first + i) / lanes->fold, fold = (first + i) % lanes->fold;
        out[i].sample = n < shape->N ? n * elements + shift->w * shape->C : NONE;
        out[i].row = lanes->fold > 1 ? fold * step - shape->pad_top : 0;
    }
}

/* Where a row of the part's map starts, or NONE if it is of padding. */
static int64_t start_of(const struct conv_shape *samples, const struct part *part, int64_t row)
{
    int64_t h = part->row + row;
    if (part->sample == NONE || h < 0 || h >= samples->H)
        return NONE;
    return part->sample + h * samples->W * samples->C;
}

/* Rows of a plane that are neighbours in the samples. */
static int64_t run_rows(const struct gram_lanes *lanes, const struct gram_shift *shift)
{
    return lanes->fold == 1 && shift->W == shift->shape->W ? shift->H : 1;
}

/* GRAM_LANES lanes at any address. */
typedef uint32_t vector __attribute__((vector_size(GRAM_VECTOR), aligned(4), may_alias));
typedef float floats __attribute__((vector_size(GRAM_VECTOR), aligned(4), may_alias));

/* Eight steps that each bring rows i and i + 8 together, lane by lane; four of these turn the
 * matrix, as each one moves a bit of the row's number to that of the lane. */
#define INTERLEAVE(from, to)                                                                       \
    for (int i = 0; i < GRAM_LANES / 2; i++) {                                                     \
        (to)[2 * i] = __builtin_shufflevector((from)[i], (from)[i + 8], 0, 16, 1, 17, 2, 18, 3,    \
                                              19, 4, 20, 5, 21, 6, 22, 7, 23);                     \
        (to)[2 * i + 1] = __builtin_shufflevector((from)[i], (from)[i + 8], 8, 24, 9, 25, 10, 26,  \
                                                  11, 27, 12, 28, 13, 29, 14, 30, 15, 31);         \
    }

/* out[i][lane] = from[lane][i] for i < count, a multiple of GRAM_LANES; sums[i] = Σ from[lane][i]
 * of floats, or NULL. */
KERN_CLONES static void turn_whole(const uint32_t *const from[GRAM_LANES], int64_t count,
                                   uint32_t *out, float *sums)
{
    for (int64_t done = 0; done < count; done += GRAM_LANES) {
        vector a[GRAM_LANES], b[GRAM_LANES];
        for (int i = 0; i < GRAM_LANES; i++)
            a[i] = *(const vector *)(from[i] + done);
        if (sums != NULL) {
            floats sum[2] = {(floats)a[0], (floats)a[1]};
            for (int i = 2; i < GRAM_LANES; i++)
                sum[i % 2] += (floats)a[i];
            *(floats *)(sums + done) = sum[0] + sum[1];
        }
        INTERLEAVE(a, b)
        INTERLEAVE(b, a)
        INTERLEAVE(a, b)
        INTERLEAVE(b, a)
        for (int i = 0; i < GRAM_LANES; i++)
            *(vector *)(out + (done + i) * GRAM_LANES) = a[i];
    }
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* The same for any count: the last elements may be turned twice. */
static void turn(const uint32_t *const from[GRAM_LANES], int64_t count, uint32_t *out, float *sums)
{
    int64_t whole = count / GRAM_LANES * GRAM_LANES, last = count - GRAM_LANES;
    const uint32_t *end[GRAM_LANES];
    turn_whole(from, whole, out, sums);
    if (whole == count)
        return;
    if (whole > 0) {
        for (int lane = 0; lane < GRAM_LANES; lane++)
            end[lane] = from[lane] + last;
        turn_whole(end, GRAM_LANES, out + last * GRAM_LANES, sums != NULL ? sums + last : NULL);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        float sum = 0;
        for (int lane = 0; lane < GRAM_LANES; lane++) {
            out[i * GRAM_LANES + lane] = from[lane][i];
            sum += sums != NULL ? float_of(from[lane][i]) : 0;
        }
        if (sums != NULL)
            sums[i] = sum;
    }
}

static void fill_run(const int64_t start[GRAM_LANES], int64_t length, const float *x, float *out,
                     double *sums)
{
    static const float zeros[PIECE];
    float sum[PIECE];
    for (int64_t done = 0; done < length; done += PIECE) {
        const uint32_t *from[GRAM_LANES];
        for (int64_t lane = 0; lane < GRAM_LANES; lane++)
            from[lane] = (const void *)(start[lane] == NONE ? zeros : x + start[lane] + done);
        int64_t count = least(PIECE, length - done);
        turn(from, count, (void *)(out + done * GRAM_LANES), sum);
        for (int64_t i = 0; i < count; i++)
            sums[done + i] += (double)sum[i];
    }
}

void gram_lanes_fill(const struct gram_lanes *lanes, const struct gram_shift *shift, const float *x,
                     int64_t first, float *out, double *sums)
{
    struct part parts[GRAM_LANES];
    int64_t rows = run_rows(lanes, shift), start[GRAM_LANES];
    find_parts(lanes, shift, first, GRAM_LANES, parts);
    for (int64_t row = 0; row < shift->H; row += rows) {
        for (int lane = 0; lane < GRAM_LANES; lane++)
            start[lane] = start_of(&lanes->samples, &parts[lane], shift->h + row);
        int64_t at = row * shift->line;
        fill_run(start, rows * shift->line, x, out + at * GRAM_LANES, sums + at);
    }
}

/* RUN codes at any address. */
enum { RUN = 16 };
typedef uint8_t codes __attribute__((vector_size(RUN), aligned(1), may_alias));

#define LOW(a, b)                                                                                  \
    __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH(a, b)                                                                                 \
    __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)

/* Codes of four parts side by side; up to RUN of each beyond `count` are read and written. */
KERN_CLONES static void bring_together(const uint8_t *const from[GRAM_QUAD], int64_t count,
                                       uint8_t *out)
{
    for (int64_t done = 0; done < count; done += RUN, out += RUN * GRAM_QUAD) {
        codes a = *(const codes *)(from[0] + done), b = *(const codes *)(from[1] + done);
        codes c = *(const codes *)(from[2] + done), d = *(const codes *)(from[3] + done);
        codes low_ac = LOW(a, c), low_bd = LOW(b, d), high_ac = HIGH(a, c), high_bd = HIGH(b, d);
        *(codes *)out = LOW(low_ac, low_bd);
        *(codes *)(out + RUN) = HIGH(low_ac, low_bd);
        *(codes *)(out + 2 * RUN) = LOW(high_ac, high_bd);
        *(codes *)(out + 3 * RUN) = HIGH(high_ac, high_bd);
    }
}

/* A piece of four parts, and zeros up to the next RUN quads. */
static void fill_quads(const uint8_t *const from[GRAM_QUAD], int64_t count, uint8_t *out)
{
    int64_t whole = count / RUN * RUN;
    bring_together(from, whole, out);
    if (whole == count)
        return;
    memset(out + whole * GRAM_QUAD, 0, RUN * GRAM_QUAD);
    for (int64_t i = whole; i < count; i++)
        for (int t = 0; t < GRAM_QUAD; t++)
            out[i * GRAM_QUAD + t] = from[t][i];
}

/* Codes of a run in each part, or of what stands for those that are not there. */
struct coded_run {
    const uint8_t *from[GRAM_LANES * GRAM_QUAD];
    int64_t step[GRAM_LANES * GRAM_QUAD]; /* from a piece to the next: 0 of the same one */
};

static void fill_coded_run(struct coded_run *run, int64_t length, gram_add_sums *add_sums,
                           uint8_t *out, int32_t *sums)
{
    enum { QUADS = PIECE * GRAM_QUAD + 64 }; /* rows that do not meet in a few sets of the cache */
    uint8_t quads[GRAM_LANES][QUADS];
    const uint32_t *from[GRAM_LANES];
    for (int64_t done = 0; done < length; done += PIECE) {
        int64_t count = least(PIECE, length - done);
        for (int lane = 0; lane < GRAM_LANES; lane++) {
            fill_quads(run->from + lane * GRAM_QUAD, count, quads[lane]);
            from[lane] = (const void *)quads[lane];
        }
        turn(from, count, (void *)(out + done * GRAM_VECTOR), NULL);
        add_sums(quads[0], GRAM_LANES, QUADS, count, sums + done);
        for (int i = 0; i < GRAM_LANES * GRAM_QUAD; i++)
            run->from[i] += run->step[i];
    }
}

void gram_lanes_fill_codes(const struct gram_lanes *lanes, const struct gram_shift *shift,
                           const struct gram_lanes_codes *from, int64_t first, uint8_t *out,
                           int32_t *sums)
{
    static const uint8_t zeros[PIECE];
    enum { PARTS = GRAM_LANES * GRAM_QUAD };
    struct part parts[PARTS];
    uint8_t padding[PIECE];
    int64_t rows = run_rows(lanes, shift);
    memset(padding, from->zero, sizeof(padding));
    find_parts(lanes, shift, first, PARTS, parts);
    for (int64_t row = 0; row < shift->H; row += rows) {
        struct coded_run run;
        int64_t at = row * shift->line;
        for (int i = 0; i < PARTS; i++) {
            int64_t start = start_of(&lanes->samples, &parts[i], shift->h + row);
            const uint8_t *absent = parts[i].sample == NONE ? zeros : padding;
            run.from[i] = start == NONE ? absent : from->codes + start;
            run.step[i] = start == NONE ? 0 : PIECE;
        }
        fill_coded_run(&run, rows * shift->line, from->add_sums, out + at * GRAM_VECTOR, sums + at);
    }
}
