/* Depthwise convolution (depthwise.h), rectangle by rectangle of places that see the same taps: no
 * activation is copied, nothing is padded and no tap on the padding is computed. Small maps are
 * taken some samples at a time, large ones a band of lines at a time. */

#include "depthwise.h"

#include "depthwise_gather.h"
#include "depthwise_runs.h"
#include "sizes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    TAPS_MOST = 1 << 10,    /* of a filter: runs are found tap by tap */
    PLACES_LEAST = 16,      /* of x: below, most of the time goes into what is around the loops */
    BAND_LINES = 8,         /* of the output, times the stride for the gradient */
    PLANES_BYTES = 1 << 17, /* of both maps of samples at once */
    CHANNELS_MOST = 128,    /* at once: lines that share taps stay in a first-level cache */
    CHANNELS_STEP = 16,     /* a cache line */
};

/* Of either direction. */
struct pass {
    struct depthwise_runs rows, columns;
    int64_t in_lines, in_width, out_lines, out_width;
};

struct depthwise {
    struct conv_shape shape;
    struct pass forward, grad_x;
    float *weights;            /* [R][S][C] */
    float *zeros;              /* [C] */
    struct depthwise_tap *tap; /* [R·S], those of a rectangle */
};

bool depthwise_takes(const struct conv_shape *shape)
{
    return shape->G == shape->C && shape->K == shape->C && shape->H * shape->W >= PLACES_LEAST &&
           shape->R <= TAPS_MOST && shape->S <= TAPS_MOST && shape->R * shape->S <= TAPS_MOST;
}

/* Aligned to cache lines: vectors that lie across two of them take twice the time. */
static float *create_zeros(int64_t count)
{
    size_t bytes = (size_t)lines(count * (int64_t)sizeof(float));
    float *zeros = aligned_alloc(64, bytes);
    return zeros != NULL ? memset(zeros, 0, bytes) : NULL;
}

static bool create_passes(struct depthwise *at, bool gradients, struct error *err)
{
    const struct conv_shape *shape = &at->shape;
    const struct depthwise_axis rows = {
        .x = shape->H,
        .y = shape->OH,
        .taps = shape->R,
        .stride = shape->stride_h,
        .dilation = shape->dilation_h,
        .pad_before = shape->pad_top,
    };
    const struct depthwise_axis columns = {
        .x = shape->W,
        .y = shape->OW,
        .taps = shape->S,
        .stride = shape->stride_w,
        .dilation = shape->dilation_w,
        .pad_before = shape->pad_left,
    };
    struct pass *forward = &at->forward, *grad_x = &at->grad_x;
    *forward = (struct pass){
        .in_lines = shape->H,
        .in_width = shape->W,
        .out_lines = shape->OH,
        .out_width = shape->OW,
    };
    *grad_x = (struct pass){
        .in_lines = shape->OH,
        .in_width = shape->OW,
        .out_lines = shape->H,
        .out_width = shape->W,
    };
    if (!depthwise_runs_forward(&rows, BAND_LINES, &forward->rows, err) ||
        !depthwise_runs_forward(&columns, shape->OW, &forward->columns, err))
        return false;
    return !gradients ||
           (depthwise_runs_grad_x(&rows, BAND_LINES * shape->stride_h, &grad_x->rows, err) &&
            depthwise_runs_grad_x(&columns, shape->W, &grad_x->columns, err));
}

bool depthwise_create(const struct conv_shape *shape, bool gradients,
                      struct depthwise **out_depthwise, struct error *err)
{
    struct depthwise *at = calloc(1, sizeof(*at));
    if (at == NULL)
        return FAIL(err, E_MEMORY, "no memory for a convolution (%zu bytes)", sizeof(*at));
    at->shape = *shape;
    at->weights = create_zeros(conv_weight_elements(shape));
    at->zeros = create_zeros(shape->C);
    at->tap = calloc((size_t)(shape->R * shape->S), sizeof(*at->tap));
    bool good = at->weights != NULL && at->zeros != NULL && at->tap != NULL
                    ? create_passes(at, gradients, err)
                    : FAIL(err, E_MEMORY, "no memory for a filter of %lld × %lld × %lld",
                           (long long)shape->R, (long long)shape->S, (long long)shape->C);
    if (!good) {
        depthwise_destroy(at);
        return false;
    }
    *out_depthwise = at;
    return true;
}

void depthwise_destroy(struct depthwise *at)
{
    if (at == NULL)
        return;
    depthwise_runs_finish(&at->forward.rows);
    depthwise_runs_finish(&at->forward.columns);
    depthwise_runs_finish(&at->grad_x.rows);
    depthwise_runs_finish(&at->grad_x.columns);
    free(at->weights);
    free(at->zeros);
    free(at->tap);
    free(at);
}

/* [C][taps] to [taps][C]. */
static void load_weights(struct depthwise *at, const float *w)
{
    int64_t C = at->shape.C, taps = at->shape.R * at->shape.S;
    for (int64_t c = 0; c < C; c++)
        for (int64_t tap = 0; tap < taps; tap++)
            at->weights[tap * C + c] = w[c * taps + tap];
}

/* What is the same for all rectangles of a pass, and how far it is. */
struct progress {
    struct depthwise *at;
    const struct pass *pass;
    const float *in, *start;
    float *out;
    bool rectified;
    int64_t in_all, out_all; /* elements of the maps of all samples */
    int64_t done, ahead;     /* elements of the output: computed, and how much earlier to ask */
};

/* The next part of the maps, in the order in which they lie; at the end once more the last. */
static struct depthwise_ahead look_ahead(const struct progress *on, int64_t part)
{
    int64_t out = least(on->done + on->ahead, on->out_all - part);
    double ratio = (double)on->in_all / (double)on->out_all;
    return (struct depthwise_ahead){
        .in = (uintptr_t)(on->in + (int64_t)(ratio * (double)out)),
        .out = (uintptr_t)(on->out + out),
        .in_bytes = 64 * on->in_all / on->out_all,
    };
}

/* Taps along one axis that a rectangle sees, in the order in which they lie in the input. */
struct taps {
    int64_t count, first, step;       /* of the filter */
    int64_t in, in_step, places_step; /* of the map */
};

static struct taps taps_of(const struct depthwise_runs *runs, const struct depthwise_run *run)
{
    struct taps taps = {run->taps, run->tap, runs->tap_step, 0, runs->tap_in_step, runs->in_step};
    if (taps.in_step < 0) {
        taps.first += (taps.count - 1) * taps.step;
        taps.in += (taps.count - 1) * taps.in_step;
        taps.step = -taps.step;
        taps.in_step = -taps.in_step;
    }
    return taps;
}

/* Lists them, those of `inner` one behind the other. */
static int64_t list_taps(const struct taps *outer, const struct taps *inner,
                         struct depthwise_tap *tap)
{
    int64_t count = 0;
    for (int64_t i = 0; i < outer->count; i++)
        for (int64_t j = 0; j < inner->count; j++)
            tap[count++] = (struct depthwise_tap){
                .in = outer->in + i * outer->in_step + inner->in + j * inner->in_step,
                .weight = outer->first + i * outer->step + inner->first + j * inner->step,
            };
    return count;
}

/* To elements of the map and of the weights. */
static void scale_taps(struct taps *taps, int64_t in, int64_t weights)
{
    taps->first *= weights;
    taps->step *= weights;
    taps->in *= in;
    taps->in_step *= in;
    taps->places_step *= in;
}

/* Some channels of a rectangle after the others. */
static void gather_channels(struct depthwise_gather gather, int64_t places)
{
    int64_t channels = gather.channels, parts = 1 + (channels - 1) / CHANNELS_MOST;
    int64_t most = round_up((channels + parts - 1) / parts, CHANNELS_STEP);
    for (int64_t c = 0; c < channels; c += most) {
        gather.channels = least(most, channels - c);
        int64_t bytes = places * gather.channels * (int64_t)sizeof(float);
        depthwise_gather(&gather);
        gather.in += gather.channels;
        gather.out += gather.channels;
        gather.weights += gather.channels;
        gather.start += gather.start != NULL ? gather.channels : 0;
        gather.ahead.in += (uintptr_t)(bytes * gather.ahead.in_bytes / 64);
        gather.ahead.out += (uintptr_t)bytes;
    }
}

/* A rectangle of `planes` samples from sample n. Its tiles, and which taps are added first, follow
 * the axis that takes the fewer of them. */
static void run_rectangle(struct progress *on, int64_t n, int64_t planes,
                          const struct depthwise_run *row, const struct depthwise_run *column)
{
    const struct pass *pass = on->pass;
    const struct depthwise_runs *rows = &pass->rows, *columns = &pass->columns;
    int64_t C = on->at->shape.C, in_line = pass->in_width * C, out_line = pass->out_width * C;
    int64_t in_plane = pass->in_lines * in_line, out_plane = pass->out_lines * out_line;
    int64_t part = planes * row->count * column->count * C;
    struct taps row_taps = taps_of(rows, row), column_taps = taps_of(columns, column);
    scale_taps(&row_taps, in_line, on->at->shape.S * C);
    scale_taps(&column_taps, C, C);
    bool turned =
        depthwise_tiles(row->count) * column->count < row->count * depthwise_tiles(column->count);
    const struct taps *inner = turned ? &row_taps : &column_taps;
    const struct depthwise_places line = {row->count, row_taps.places_step,
                                          rows->out_step * out_line};
    const struct depthwise_places place = {column->count, column_taps.places_step,
                                           columns->out_step * C};
    const struct depthwise_gather gather = {
        .channels = C,
        .loop = {{planes, in_plane, out_plane}, turned ? place : line, turned ? line : place},
        .tap = on->at->tap,
        .taps = list_taps(turned ? &column_taps : &row_taps, inner, on->at->tap),
        .triples = inner->count % 3 == 0 && inner->in_step == inner->places_step,
        .in = on->in + n * in_plane + row->in * in_line + column->in * C,
        .weights = on->at->weights,
        .start = on->start,
        .rectified = on->rectified,
        .out = on->out + n * out_plane + row->out * out_line + column->out * C,
        .ahead = look_ahead(on, part),
    };
    on->done += part;
    gather_channels(gather, part / C);
}

static void run_pass(struct progress on, int64_t N)
{
    const struct depthwise_runs *rows = &on.pass->rows, *columns = &on.pass->columns;
    int64_t C = on.at->shape.C;
    int64_t in_plane = on.pass->in_lines * on.pass->in_width * C;
    int64_t out_plane = on.pass->out_lines * on.pass->out_width * C;
    int64_t bytes = (in_plane + out_plane) * (int64_t)sizeof(float);
    int64_t planes = bytes < PLANES_BYTES ? PLANES_BYTES / bytes : 1;
    int64_t band = BAND_LINES * rows->out_step * on.pass->out_width * C;
    on.in_all = N * in_plane;
    on.out_all = N * out_plane;
    on.ahead = planes * least(band, out_plane);
    for (int64_t n = 0; n < N; n += planes)
        for (int64_t i = 0; i < rows->count; i++)
            for (int64_t j = 0; j < columns->count; j++)
                run_rectangle(&on, n, least(planes, N - n), &rows->run[i], &columns->run[j]);
}

void depthwise_forward(struct depthwise *at, int64_t N, const float *x, const float *w,
                       const float *bias, bool relu, float *y)
{
    load_weights(at, w);
    run_pass(
        (struct progress){
            .at = at,
            .pass = &at->forward,
            .in = x,
            .start = bias != NULL ? bias : at->zeros,
            .rectified = relu,
            .out = y,
        },
        N);
}

void depthwise_grad_x(struct depthwise *at, int64_t N, const float *w, const float *grad_y,
                      bool fresh, float *grad_x)
{
    assert(at->grad_x.rows.run != NULL);
    load_weights(at, w);
    run_pass(
        (struct progress){
            .at = at,
            .pass = &at->grad_x,
            .in = grad_y,
            .start = fresh ? at->zeros : NULL,
            .out = grad_x,
        },
        N);
}
