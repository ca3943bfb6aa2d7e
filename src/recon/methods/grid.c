/* Coordinate descent over the integer codes, with the scale and the bias in closed form.
 *
 * Channel k is s·u with whole numbers u = code − zero point, and the best bias is part of the
 * objective (linear_problem.h), so
 *
 *     E_k = V_k − 2 s c_k·u + s² uᵀHu
 *
 * - given u, the best scale is s = c_k·u / uᵀHu (sums over the channels where they share one);
 * - given s, each code in turn takes its best value in the whole range (kern/lattice.h).
 *
 * Both alternate until no code moves. That is a local minimum which depends on the start, so
 * several are tried: the layer as it is, and the float weights rounded to nearest at scales that
 * clip more and more of them. The best stays; the layer as it is counts too, so the error never
 * rises.
 *
 * Why so many scales: what fits the weights best is not what fits the output best. At 2 bits one
 * start, from the range with the least error of the weights, loses 2 dB of the output of the first
 * layers of ResNet-8 and DS-CNN against the best of all starts, and 0.05 dB of the others.
 */

#include "ptqd/kern/lattice.h"
#include "ptqd/recon/method.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Shares of the largest weight that a start covers. */
static const double coverage[] = {1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3};
enum { COVERAGES = sizeof(coverage) / sizeof(coverage[0]), SWEEPS_MAX = 100 };

/* A variance below this share of the squared mean is rounding of sums in float32. */
static const double ROUNDING = 1e-6;

/* Work between two reports, about 10 ms. */
static const int64_t REPORT_OPERATIONS = 1 << 24;

struct solution {
    double *scale; /* [K] */
    double *codes; /* [K][D] u */
    double *error; /* [channels of the quantizer] sum of E_k over the rows that share the scale */
};

struct grid {
    const struct linear_problem *problem;
    const struct recon_monitor *monitor;
    const float *least_scales; /* [channels], or NULL */
    struct quant_layer *layer;
    struct solution present, best;
    double *products;     /* [K][D] H u of the present solution */
    double *negligible;   /* [G][D] variances up to this decide nothing */
    double *low, *high;   /* [K] of u */
    bool *active, *moved; /* [K] rows that a sweep looks at, that it changed */
    double fraction;      /* of the starts done */
};

static bool solution_init(struct arena *arena, const struct quant_layer *layer,
                          struct solution *out, struct error *err)
{
    *out = (struct solution){
        .scale = ARENA_ARRAY(arena, double, layer->K, err),
        .codes = ARENA_ARRAY(arena, double, layer->K * layer->D, err),
        .error = ARENA_ARRAY(arena, double, layer->quantizer.channels, err),
    };
    return out->scale && out->codes && out->error;
}

static int64_t channel_of(const struct grid *grid, int64_t k)
{
    return grid->layer->quantizer.channels == 1 ? 0 : k;
}

/* Rows that share a scale. */
static int64_t rows_per_scale(const struct grid *grid)
{
    return grid->problem->K / grid->layer->quantizer.channels;
}

static bool grid_init(struct grid *grid, struct arena *arena, struct error *err)
{
    const struct linear_problem *problem = grid->problem;
    const struct quantizer *quantizer = &grid->layer->quantizer;
    int64_t K = problem->K, inputs = problem->G * problem->D;
    grid->products = ARENA_ARRAY(arena, double, K * problem->D, err);
    grid->negligible = ARENA_ARRAY(arena, double, inputs, err);
    grid->low = ARENA_ARRAY(arena, double, K, err);
    grid->high = ARENA_ARRAY(arena, double, K, err);
    grid->active = ARENA_ARRAY(arena, bool, K, err);
    grid->moved = ARENA_ARRAY(arena, bool, K, err);
    if (!grid->products || !grid->negligible || !grid->low || !grid->high || !grid->active ||
        !grid->moved || !solution_init(arena, grid->layer, &grid->present, err) ||
        !solution_init(arena, grid->layer, &grid->best, err))
        return false;
    for (int64_t i = 0; i < inputs; i++)
        grid->negligible[i] = ROUNDING * problem->mean[i] * problem->mean[i];
    for (int64_t k = 0; k < K; k++) {
        int32_t zero_point = quantizer->zero_points[channel_of(grid, k)];
        grid->low[k] = quantizer->low - zero_point;
        grid->high[k] = quantizer->high - zero_point;
    }
    for (int64_t channel = 0; channel < quantizer->channels; channel++)
        grid->best.error[channel] = INFINITY;
    return true;
}

/* The present solution of group g as the kernels take it. */
static struct lattice lattice_of(const struct grid *grid, int64_t g)
{
    const struct linear_problem *problem = grid->problem;
    int64_t D = problem->D, rows = problem->K / problem->G, k = g * rows;
    return (struct lattice){
        .rows = rows,
        .D = D,
        .H = problem->H + g * D * D,
        .negligible = grid->negligible + g * D,
        .target = problem->target + k * D,
        .scale = grid->present.scale + k,
        .low = grid->low + k,
        .high = grid->high + k,
        .codes = grid->present.codes + k * D,
        .products = grid->products + k * D,
    };
}

static double mean_error(const struct grid *grid)
{
    double sum = 0.0;
    for (int64_t channel = 0; channel < grid->layer->quantizer.channels; channel++)
        sum += grid->best.error[channel];
    return sum / (double)grid->problem->K;
}

/* Columns of H that make REPORT_OPERATIONS together. */
static int64_t columns_per_report(const struct lattice *lattice)
{
    int64_t columns = REPORT_OPERATIONS / (lattice->rows * lattice->D);
    return columns < 1 ? 1 : columns < lattice->D ? columns : lattice->D;
}

static bool report(const struct grid *grid, struct error *err)
{
    return recon_monitor_report(grid->monitor, grid->fraction, mean_error(grid), err);
}

static bool multiply(const struct grid *grid, struct error *err)
{
    for (int64_t g = 0; g < grid->problem->G; g++) {
        struct lattice lattice = lattice_of(grid, g);
        int64_t columns = columns_per_report(&lattice);
        for (int64_t d = 0; d < lattice.D; d += columns) {
            lattice_multiply(&lattice, d, d + columns < lattice.D ? d + columns : lattice.D);
            if (!report(grid, err))
                return false;
        }
    }
    return true;
}

static bool sweep(const struct grid *grid, struct error *err)
{
    int64_t rows = grid->problem->K / grid->problem->G;
    memset(grid->moved, 0, (size_t)grid->problem->K * sizeof(bool));
    for (int64_t g = 0; g < grid->problem->G; g++) {
        struct lattice lattice = lattice_of(grid, g);
        int64_t columns = columns_per_report(&lattice);
        for (int64_t d = 0; d < lattice.D; d += columns) {
            lattice_sweep(&lattice, grid->active + g * rows, d,
                          d + columns < lattice.D ? d + columns : lattice.D,
                          grid->moved + g * rows);
            if (!report(grid, err))
                return false;
        }
    }
    return true;
}

static double dot(const double *a, const double *b, int64_t count)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

/* The scale that a quantizer can hold, and may have. */
static double allowed_scale(const struct grid *grid, int64_t channel, double scale)
{
    float least = grid->least_scales ? grid->least_scales[channel] : FLT_MIN;
    return (double)fminf(fmaxf((float)scale, fmaxf(least, FLT_MIN)), FLT_MAX);
}

/* Measures the present solution of one channel of the quantizer, with the best scale when it is
 * `free`. Codes that point away from the target (c·u ≤ 0) have none: their scale stays. */
static void fit(const struct grid *grid, int64_t channel, bool free)
{
    const struct linear_problem *problem = grid->problem;
    const struct solution *present = &grid->present;
    int64_t D = problem->D, rows = rows_per_scale(grid), first = channel * rows;
    double variance = 0.0, along = 0.0, square = 0.0;
    for (int64_t k = first; k < first + rows; k++) {
        variance += problem->target_variance[k];
        along += dot(problem->target + k * D, present->codes + k * D, D);
        square += dot(grid->products + k * D, present->codes + k * D, D);
    }
    double scale = present->scale[first];
    if (free && along > 0.0 && square > 0.0)
        scale = allowed_scale(grid, channel, along / square);
    for (int64_t k = first; k < first + rows; k++)
        present->scale[k] = scale;
    present->error[channel] = variance + scale * (scale * square - 2.0 * along);
}

/* Keeps the present solution of the channels where it is better than the best so far. */
static void keep_better(const struct grid *grid)
{
    int64_t rows = rows_per_scale(grid), cells = rows * grid->problem->D;
    for (int64_t channel = 0; channel < grid->layer->quantizer.channels; channel++) {
        if (!(grid->present.error[channel] < grid->best.error[channel]))
            continue;
        grid->best.error[channel] = grid->present.error[channel];
        memcpy(grid->best.scale + channel * rows, grid->present.scale + channel * rows,
               (size_t)rows * sizeof(double));
        memcpy(grid->best.codes + channel * cells, grid->present.codes + channel * cells,
               (size_t)cells * sizeof(double));
    }
}

/* From the sweep's `moved` to the rows that the next one looks at: those whose scale may change,
 * because one of the rows that share it moved. False when there are none. */
static bool activate(const struct grid *grid)
{
    int64_t rows = rows_per_scale(grid);
    bool any = false;
    for (int64_t channel = 0; channel < grid->layer->quantizer.channels; channel++) {
        bool moved = false;
        for (int64_t k = channel * rows; k < (channel + 1) * rows; k++)
            moved |= grid->moved[k];
        for (int64_t k = channel * rows; k < (channel + 1) * rows; k++)
            grid->active[k] = moved;
        if (moved)
            fit(grid, channel, true);
        any |= moved;
    }
    return any;
}

/* Sweeps and scales in turn from the present codes until none moves, and keeps what is better. */
static bool descend(const struct grid *grid, struct error *err)
{
    for (int64_t k = 0; k < grid->problem->K; k++)
        grid->active[k] = true;
    for (int64_t channel = 0; channel < grid->layer->quantizer.channels; channel++)
        fit(grid, channel, false);
    for (int sweeps = 0; sweeps < SWEEPS_MAX; sweeps++) {
        if (!sweep(grid, err))
            return false;
        if (!activate(grid))
            break;
    }
    keep_better(grid);
    return true;
}

/* The layer as it is, unchanged and with its descent. */
static bool start_present(const struct grid *grid, struct error *err)
{
    const struct quantizer *quantizer = &grid->layer->quantizer;
    int64_t D = grid->problem->D;
    for (int64_t k = 0; k < grid->problem->K; k++) {
        grid->present.scale[k] = (double)quantizer->scales[channel_of(grid, k)];
        for (int64_t i = k * D; i < (k + 1) * D; i++)
            grid->present.codes[i] =
                grid->layer->codes[i] - quantizer->zero_points[channel_of(grid, k)];
    }
    if (!multiply(grid, err))
        return false;
    for (int64_t channel = 0; channel < quantizer->channels; channel++)
        fit(grid, channel, false);
    keep_better(grid);
    return descend(grid, err);
}

/* The step at which the range of a channel of the quantizer holds all its weights. */
static double full_scale(const struct grid *grid, int64_t channel)
{
    int64_t D = grid->problem->D, rows = rows_per_scale(grid);
    double scale = 0.0;
    for (int64_t i = channel * rows * D; i < (channel + 1) * rows * D; i++) {
        double weight = (double)grid->problem->weights[i];
        double end = weight < 0.0 ? grid->low[i / D] : grid->high[i / D];
        if (end != 0.0)
            scale = fmax(scale, weight / end);
    }
    return scale;
}

/* The float weights rounded to nearest where the range covers `share` of the largest. */
static bool start_nearest(const struct grid *grid, double share, struct error *err)
{
    int64_t D = grid->problem->D, rows = rows_per_scale(grid);
    for (int64_t channel = 0; channel < grid->layer->quantizer.channels; channel++) {
        double scale = allowed_scale(grid, channel, share * full_scale(grid, channel));
        for (int64_t k = channel * rows; k < (channel + 1) * rows; k++) {
            grid->present.scale[k] = scale;
            for (int64_t i = k * D; i < (k + 1) * D; i++) {
                double code = rint((double)grid->problem->weights[i] / scale);
                grid->present.codes[i] = fmin(fmax(code, grid->low[k]), grid->high[k]);
            }
        }
    }
    return multiply(grid, err) && descend(grid, err);
}

static void store(const struct grid *grid)
{
    struct quantizer *quantizer = &grid->layer->quantizer;
    int64_t D = grid->problem->D;
    for (int64_t k = 0; k < grid->problem->K; k++) {
        int64_t channel = channel_of(grid, k);
        quantizer->scales[channel] = (float)grid->best.scale[k];
        for (int64_t i = k * D; i < (k + 1) * D; i++)
            grid->layer->codes[i] = (int8_t)(grid->best.codes[i] + quantizer->zero_points[channel]);
    }
    quant_layer_decode(grid->layer);
    linear_problem_set_bias(grid->problem, grid->layer);
}

static bool grid_solve(const struct linear_problem *problem, const struct method_options *options,
                       const struct recon_monitor *monitor, struct arena *scratch,
                       struct quant_layer *layer, struct error *err)
{
    struct grid grid = {
        .problem = problem,
        .monitor = monitor,
        .least_scales = options->least_scales,
        .layer = layer,
    };
    if (!grid_init(&grid, scratch, err) || !start_present(&grid, err))
        return false;
    for (int start = 0; start < COVERAGES; start++) {
        grid.fraction = (double)(1 + start) / (1 + COVERAGES);
        if (!start_nearest(&grid, coverage[start], err))
            return false;
    }
    store(&grid);
    return true;
}

const struct method method_grid = {
    .name = "grid",
    .help = "The codes, the scale and the bias are searched together so that the layer's output "
            "changes least.",
    .uses_data = true,
    .changes_scales = true,
    .solve = grid_solve,
};
