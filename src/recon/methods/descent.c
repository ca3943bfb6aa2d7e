/* Codes, scales and zero points of a layer while they are searched. */

#include "descent.h"

#include "ptqd/kern/dot.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Rounds of sweep and scale. More rounds with pairs gain 0.002 dB. */
enum { ROUNDS_MAX = 100, PAIR_ROUNDS_MAX = 2 };

/* Multiplications between two reports, about 10 ms. */
static const int64_t REPORT_OPERATIONS = 1 << 24;

static bool solution_init(struct arena *arena, const struct quant_layer *layer,
                          struct solution *out, struct error *err)
{
    *out = (struct solution){
        .codes = ARENA_ARRAY(arena, double, layer->K * layer->D, err),
        .scale = ARENA_ARRAY(arena, double, layer->K, err),
        .zero_points = ARENA_ARRAY(arena, int32_t, layer->quantizer.channels, err),
        .error = ARENA_ARRAY(arena, double, layer->quantizer.channels, err),
    };
    return out->codes && out->scale && out->zero_points && out->error;
}

static bool allocate(struct arena *arena, struct descent *descent, struct error *err)
{
    const struct linear_problem *problem = descent->problem;
    int64_t K = problem->K, D = problem->D;
    descent->products = ARENA_ARRAY(arena, double, K *D, err);
    descent->low = ARENA_ARRAY(arena, double, K *D, err);
    descent->high = ARENA_ARRAY(arena, double, K *D, err);
    descent->negligible = ARENA_ARRAY(arena, double, problem->G *D, err);
    descent->active = ARENA_ARRAY(arena, bool, K, err);
    descent->moved = ARENA_ARRAY(arena, bool, K, err);
    descent->pairs = arena_alloc(arena, lattice_pairs_scratch_bytes(D), err);
    descent->iteration = ARENA_NEW(arena, int64_t, err);
    return descent->products && descent->low && descent->high && descent->negligible &&
           descent->active && descent->moved && descent->pairs && descent->iteration &&
           solution_init(arena, descent->layer, &descent->present, err) &&
           solution_init(arena, descent->layer, &descent->best, err);
}

struct lattice descent_group(const struct descent *descent, int64_t g)
{
    const struct linear_problem *problem = descent->problem;
    int64_t D = problem->D, rows = problem->K / problem->G, k = g * rows;
    return (struct lattice){
        .rows = rows,
        .D = D,
        .H = problem->H + g * D * D,
        .negligible = descent->negligible + g * D,
        .target = problem->target + k * D,
        .scale = descent->present.scale + k,
        .low = descent->low + k * D,
        .high = descent->high + k * D,
        .codes = descent->present.codes + k * D,
        .products = descent->products + k * D,
    };
}

bool descent_report(const struct descent *descent, struct error *err)
{
    double sum = 0.0;
    for (int64_t share = 0; share < descent->shares; share++)
        sum += descent->best.error[share];
    double loss = isfinite(sum) ? sum / (double)descent->problem->K : (double)NAN; /* none yet */
    return recon_monitor_report(descent->monitor, descent->fraction, loss, err);
}

/* The error of what would be the best solution if the descent ended here. */
static void record(const struct descent *descent)
{
    double sum = 0.0;
    for (int64_t share = 0; share < descent->shares; share++)
        sum += fmin(descent->best.error[share], descent->present.error[share]);
    recon_monitor_record(descent->monitor, *descent->iteration, sum / (double)descent->problem->K);
}

int64_t descent_part_end(int64_t first, int64_t D, int64_t operations)
{
    int64_t columns = REPORT_OPERATIONS / operations;
    return D - first <= columns ? D : first + (columns > 0 ? columns : 1);
}

static bool multiply(const struct descent *descent, struct error *err)
{
    for (int64_t g = 0; g < descent->problem->G; g++) {
        struct lattice lattice = descent_group(descent, g);
        for (int64_t d = 0, end; d < lattice.D; d = end) {
            end = descent_part_end(d, lattice.D, lattice.rows * lattice.D);
            lattice_multiply(&lattice, d, end);
            if (!descent_report(descent, err))
                return false;
        }
    }
    return true;
}

/* One code after the other takes its best value. */
static bool sweep_codes(const struct descent *descent, void *context, struct error *err)
{
    (void)context; /* none */
    int64_t rows = descent->problem->K / descent->problem->G;
    for (int64_t g = 0; g < descent->problem->G; g++) {
        struct lattice lattice = descent_group(descent, g);
        for (int64_t d = 0, end; d < lattice.D; d = end) {
            end = descent_part_end(d, lattice.D, lattice.rows * lattice.D);
            lattice_sweep(&lattice, descent->active + g * rows, d, end, descent->moved + g * rows);
            if (!descent_report(descent, err))
                return false;
        }
    }
    return true;
}

/* The same, then pairs. */
static bool sweep_pairs(const struct descent *descent, void *context, struct error *err)
{
    if (!sweep_codes(descent, context, err))
        return false;
    int64_t rows = descent->problem->K / descent->problem->G;
    for (int64_t k = 0; k < descent->problem->K; k++) {
        struct lattice lattice = descent_group(descent, k / rows);
        for (int64_t d = 0, end; descent->active[k] && d < lattice.D; d = end) {
            end = descent_part_end(d, lattice.D, 2 * lattice.D);
            lattice_sweep_pairs(&lattice, k % rows, d, end, descent->pairs, &descent->moved[k]);
            if (!descent_report(descent, err))
                return false;
        }
    }
    return true;
}

static double allowed_scale(const struct descent *descent, int64_t share, double scale)
{
    float least = descent->least_scales ? fmaxf(descent->least_scales[share], FLT_MIN) : FLT_MIN;
    float nearest = scale < (double)FLT_MAX ? (float)scale : FLT_MAX;
    return (double)fmaxf(nearest, least);
}

static void begin(const struct descent *descent, int64_t share, double scale, int32_t zero_point)
{
    const struct quantizer *quantizer = &descent->layer->quantizer;
    int64_t D = descent->problem->D;
    descent->present.zero_points[share] = zero_point;
    for (int64_t k = share * descent->rows; k < (share + 1) * descent->rows; k++)
        descent->present.scale[k] = scale;
    for (int64_t i = share * descent->rows * D; i < (share + 1) * descent->rows * D; i++) {
        descent->low[i] = quantizer->low - zero_point;
        descent->high[i] = quantizer->high - zero_point;
    }
}

void descent_begin(const struct descent *descent, int64_t share, double scale, int32_t zero_point)
{
    begin(descent, share, allowed_scale(descent, share, scale), zero_point);
}

void descent_begin_layer(const struct descent *descent)
{
    const struct quant_layer *layer = descent->layer;
    const int32_t *zero_points = layer->quantizer.zero_points;
    for (int64_t share = 0; share < descent->shares; share++)
        begin(descent, share, (double)layer->quantizer.scales[share], zero_points[share]);
    for (int64_t i = 0; i < layer->K * layer->D; i++)
        descent->present.codes[i] = layer->codes[i] - zero_points[i / layer->D / descent->rows];
}

/* Measures the present solution of a share, with the best scale when it is `free`. Codes that point
 * away from the target (c·u ≤ 0) have none: their scale stays. */
static void fit(const struct descent *descent, int64_t share, bool free)
{
    const struct linear_problem *problem = descent->problem;
    const struct solution *present = &descent->present;
    int64_t D = problem->D, first = share * descent->rows, end = first + descent->rows;
    double variance = 0.0, along = 0.0, square = 0.0;
    for (int64_t k = first; k < end; k++) {
        variance += problem->target_variance[k];
        along += dot_f64(problem->target + k * D, present->codes + k * D, D);
        square += dot_f64(descent->products + k * D, present->codes + k * D, D);
    }
    double scale = present->scale[first];
    if (free && along > 0.0 && square > 0.0)
        scale = allowed_scale(descent, share, along / square);
    for (int64_t k = first; k < end; k++)
        present->scale[k] = scale;
    present->error[share] = variance + scale * (scale * square - 2.0 * along);
}

static void copy_share(const struct descent *descent, int64_t share, const struct solution *from,
                       const struct solution *to)
{
    int64_t rows = descent->rows, cells = rows * descent->problem->D;
    to->zero_points[share] = from->zero_points[share];
    to->error[share] = from->error[share];
    memcpy(to->scale + share * rows, from->scale + share * rows, (size_t)rows * sizeof(double));
    memcpy(to->codes + share * cells, from->codes + share * cells, (size_t)cells * sizeof(double));
}

static void keep_better(const struct descent *descent)
{
    for (int64_t share = 0; share < descent->shares; share++)
        if (descent->present.error[share] < descent->best.error[share])
            copy_share(descent, share, &descent->present, &descent->best);
}

/* Products and errors of the present solution, which becomes the best where it is better. */
static bool measure(const struct descent *descent, struct error *err)
{
    if (!multiply(descent, err))
        return false;
    for (int64_t share = 0; share < descent->shares; share++)
        fit(descent, share, false);
    keep_better(descent);
    return true;
}

bool descent_init(struct arena *arena, const struct linear_problem *problem,
                  const struct recon_monitor *monitor, const float *least_scales,
                  struct quant_layer *layer, struct descent *out_descent, struct error *err)
{
    struct descent descent = {
        .problem = problem,
        .monitor = monitor,
        .layer = layer,
        .least_scales = least_scales,
        .shares = layer->quantizer.channels,
        .rows = problem->K / layer->quantizer.channels,
    };
    if (!allocate(arena, &descent, err))
        return false;
    for (int64_t i = 0; i < problem->G * problem->D; i++)
        descent.negligible[i] = linear_problem_negligible(problem, i);
    for (int64_t share = 0; share < descent.shares; share++)
        descent.best.error[share] = (double)INFINITY;
    descent_begin_layer(&descent);
    if (!measure(&descent, err))
        return false;
    *out_descent = descent;
    return true;
}

/* The rows that the next round looks at: those of the shares in which one moved, because that
 * changes their scale. False when there are none. */
static bool activate(const struct descent *descent)
{
    bool any = false;
    for (int64_t share = 0; share < descent->shares; share++) {
        bool moved = false;
        int64_t first = share * descent->rows, end = first + descent->rows;
        for (int64_t k = first; k < end; k++)
            moved |= descent->moved[k];
        for (int64_t k = first; k < end; k++)
            descent->active[k] = moved;
        if (moved)
            fit(descent, share, !descent->fixed_scales);
        any |= moved;
    }
    return any;
}

bool descent_fit_scales(const struct descent *descent, struct error *err)
{
    if (!multiply(descent, err))
        return false;
    for (int64_t share = 0; share < descent->shares; share++)
        fit(descent, share, true);
    return true;
}

bool descent_run_sweeps(const struct descent *descent, descent_sweep *sweep, void *context,
                        int rounds, struct error *err)
{
    if (!measure(descent, err))
        return false;
    record(descent);
    for (int64_t k = 0; k < descent->problem->K; k++)
        descent->active[k] = true;
    bool any = true;
    for (int round = 0; any && round < rounds; round++) {
        memset(descent->moved, 0, (size_t)descent->problem->K * sizeof(bool));
        if (!sweep(descent, context, err))
            return false;
        any = activate(descent);
        ++*descent->iteration;
        record(descent);
    }
    keep_better(descent);
    return true;
}

bool descent_run(const struct descent *descent, struct error *err)
{
    return descent_run_sweeps(descent, sweep_codes, NULL, ROUNDS_MAX, err);
}

bool descent_refine(const struct descent *descent, struct error *err)
{
    for (int64_t share = 0; share < descent->shares; share++) {
        begin(descent, share, descent->best.scale[share * descent->rows],
              descent->best.zero_points[share]);
        copy_share(descent, share, &descent->best, &descent->present);
    }
    return descent_run_sweeps(descent, sweep_pairs, NULL, PAIR_ROUNDS_MAX, err);
}

void descent_store(const struct descent *descent)
{
    struct quant_layer *layer = descent->layer;
    const struct solution *best = &descent->best;
    int64_t cells = descent->rows * layer->D;
    for (int64_t share = 0; share < descent->shares; share++) {
        layer->quantizer.scales[share] = (float)best->scale[share * descent->rows];
        layer->quantizer.zero_points[share] = best->zero_points[share];
        for (int64_t i = share * cells; i < (share + 1) * cells; i++)
            layer->codes[i] = (int8_t)(best->codes[i] + best->zero_points[share]);
    }
    quant_layer_decode(layer);
    linear_problem_set_bias(descent->problem, layer);
}
