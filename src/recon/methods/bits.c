/* BitSplit (Wang et al., "Towards Accurate Post-training Network Quantization via Bit-Split and
 * Stitching", ICML 2020).
 *
 * A code of b bits is split into b − 1 ternary ones, u = Σ_i 2^i B_i with B_i in {−1, 0, 1}, so
 * that codes are in ±(2^(b−1) − 1). Given the rest, the best B_i of each weight has a closed form,
 * and so has the scale given all:
 * 1. rounding of the weights, and the scale that fits them best, in turn;
 * 2. from three bits on, the same bit by bit, from the highest: for each, its best values when the
 * others stay, then the scale, until nothing changes or for 50 rounds;
 * 3. the same for the error of the output: bit by bit, weight by weight, through the Gram matrix,
 * at most 100 rounds.
 *
 * At two bits there is one ternary code, and nothing to split. Limits of rounds are the authors'.
 *
 * Deviations: the bias is always the best one; a round without a change is the last; the solution
 * stays only where it is better than the layer was.
 */

#include "descent.h"

#include "ptqd/recon/method.h"

#include <math.h>

enum { ROUND_ROUNDS = 100, WEIGHT_ROUNDS = 50, OUTPUT_ROUNDS = 100 };

static const char SYMMETRIC[] = "codes are sums of ternary ones, which are symmetric about 0";

struct bits {
    struct descent descent;
    int count;                          /* ternary codes of a weight */
    double *codes;                      /* [K][D] Σ 2^i B_i: the descent's present ones */
    double *planes[QUANTIZER_BITS_MAX]; /* [K][D] 2^i B_i */
};

static bool bits_init(struct arena *arena, const struct linear_problem *problem,
                      const struct quant_layer *layer, struct bits *bits, struct error *err)
{
    bits->count = layer->quantizer.format.bits - 1;
    bits->codes = bits->descent.present.codes;
    for (int i = 0; i < bits->count; i++) {
        bits->planes[i] = ARENA_ARRAY(arena, double, problem->K * problem->D, err);
        if (!bits->planes[i])
            return false;
    }
    return true;
}

/* The cells of the rows that share a scale. */
struct cells {
    int64_t share, first, end;
};

static struct cells cells_of(const struct bits *bits, int64_t share)
{
    int64_t count = bits->descent.rows * bits->descent.problem->D;
    return (struct cells){share, share * count, (share + 1) * count};
}

/* The scale at which the codes fit the weights best; `otherwise` when they point away. */
static double weight_scale(const struct bits *bits, struct cells cells, double otherwise)
{
    const float *weights = bits->descent.problem->weights;
    double along = 0.0, square = 0.0;
    for (int64_t i = cells.first; i < cells.end; i++) {
        along += (double)weights[i] * bits->codes[i];
        square += bits->codes[i] * bits->codes[i];
    }
    return along > 0.0 ? along / square : otherwise;
}

/* Stage 1, from the range of all weights; ends when the scale stays as it is. Weights of zero keep
 * the scale of the layer. */
static double round_codes(const struct bits *bits, struct cells cells)
{
    const float *weights = bits->descent.problem->weights;
    double highest = (double)((1 << bits->count) - 1), largest = 0.0, before = 0.0;
    for (int64_t i = cells.first; i < cells.end; i++)
        largest = fmax(largest, fabs((double)weights[i]));
    double scale = largest > 0.0 ? largest / highest
                                 : (double)bits->descent.layer->quantizer.scales[cells.share];
    for (int round = 0; scale != before && round < ROUND_ROUNDS; round++) {
        for (int64_t i = cells.first; i < cells.end; i++) {
            double code = rint((double)weights[i] / scale);
            bits->codes[i] = fmin(fmax(code, -highest), highest);
        }
        before = scale;
        scale = weight_scale(bits, cells, scale);
    }
    return scale;
}

static void split(const struct bits *bits, struct cells cells)
{
    for (int64_t i = cells.first; i < cells.end; i++)
        for (int bit = 0; bit < bits->count; bit++) {
            bool set = (int)fabs(bits->codes[i]) >> bit & 1;
            bits->planes[bit][i] = set ? copysign((double)(1 << bit), bits->codes[i]) : 0.0;
        }
}

/* The ternary multiple of `unit` nearest to `value`; ends at the middle go outwards. */
static double nearest_ternary(double value, double unit)
{
    return 2.0 * fabs(value) < unit ? 0.0 : copysign(unit, value);
}

static bool improve_bit(const struct bits *bits, struct cells cells, int bit, double scale)
{
    const float *weights = bits->descent.problem->weights;
    double *plane = bits->planes[bit], unit = (double)(1 << bit);
    bool changed = false;
    for (int64_t i = cells.first; i < cells.end; i++) {
        double others = bits->codes[i] - plane[i];
        double best = nearest_ternary((double)weights[i] / scale - others, unit);
        changed |= best != plane[i];
        plane[i] = best;
        bits->codes[i] = others + best;
    }
    return changed;
}

/* Stage 2. */
static double fit_weights(const struct bits *bits, struct cells cells, double scale)
{
    bool changed = bits->count > 1;
    for (int round = 0; changed && round < WEIGHT_ROUNDS; round++) {
        scale = weight_scale(bits, cells, scale);
        changed = false;
        for (int bit = bits->count - 1; bit >= 0; bit--)
            changed |= improve_bit(bits, cells, bit, scale);
    }
    return weight_scale(bits, cells, scale);
}

/* One bit of one weight. The error is a parabola in it, whose lowest point shows which of the three
 * values is the best. */
static void improve_code(const struct bits *bits, const struct lattice *lattice, int64_t k,
                         int64_t d, int bit)
{
    const struct descent *descent = &bits->descent;
    int64_t row = k % lattice->rows, at = row * lattice->D + d;
    double curvature = lattice->H[d * lattice->D + d], *plane = bits->planes[bit];
    if (!descent->active[k] || !(curvature > lattice->negligible[d]))
        return;
    double *value = &plane[k * lattice->D + d];
    double slope = lattice->products[at] - lattice->target[at] / lattice->scale[row];
    double best = nearest_ternary(*value - slope / curvature, (double)(1 << bit));
    double step = best - *value;
    if (!(step * (2.0 * slope + step * curvature) < 0.0))
        return;
    *value = best;
    lattice_move(lattice, row, d, step);
    descent->moved[k] = true;
}

/* Stage 3: all bits of the active rows. */
static bool sweep_bits(const struct descent *descent, void *context, struct error *err)
{
    const struct bits *bits = context;
    int64_t D = descent->problem->D, rows = descent->problem->K / descent->problem->G;
    for (int bit = bits->count - 1; bit >= 0; bit--)
        for (int64_t g = 0; g < descent->problem->G; g++) {
            struct lattice lattice = descent_group(descent, g);
            for (int64_t d = 0, end; d < D; d = end) {
                end = descent_part_end(d, D, rows * D);
                for (int64_t i = d * rows; i < end * rows; i++)
                    improve_code(bits, &lattice, g * rows + i % rows, i / rows, bit);
                if (!descent_report(descent, err))
                    return false;
            }
        }
    return true;
}

static bool refuse_zero_points(const struct quantizer *quantizer, struct error *err)
{
    if (quantizer->format.symmetric)
        return true;
    return FAIL(err, E_UNSUPPORTED, "the weights' format has zero points; with \"bits\" %s",
                SYMMETRIC);
}

static bool bits_solve(const struct linear_problem *problem, const struct method_options *options,
                       const struct recon_monitor *monitor, struct arena *scratch,
                       struct quant_layer *layer, struct error *err)
{
    struct bits bits;
    struct descent *descent = &bits.descent;
    if (!refuse_zero_points(&layer->quantizer, err) ||
        !descent_init(scratch, problem, monitor, options->least_scales, layer, descent, err) ||
        !bits_init(scratch, problem, layer, &bits, err))
        return false;
    for (int64_t share = 0; share < descent->shares; share++) {
        struct cells cells = cells_of(&bits, share);
        double scale = round_codes(&bits, cells);
        split(&bits, cells);
        descent_begin(descent, share, fit_weights(&bits, cells, scale), 0);
        if (!descent_report(descent, err))
            return false;
    }
    if (!descent_fit_scales(descent, err) ||
        !descent_run_sweeps(descent, sweep_bits, &bits, OUTPUT_ROUNDS, err))
        return false;
    descent_store(descent);
    return true;
}

const struct method method_bits = {
    .name = "bits",
    .help = "Codes are split into ternary ones, which are searched bit by bit (BitSplit).",
    .uses_data = true,
    .changes_scales = true,
    .only_layers = "bits are found on the Gram matrix of a layer's input",
    .only_symmetric = SYMMETRIC,
    .weight_bytes = DESCENT_WEIGHT_BYTES + QUANTIZER_BITS_MAX * sizeof(double),
    .solve = bits_solve,
};
