/* AdaRound (Nagel et al., arXiv 2004.10568) on the Gram form of the linear objective.
 *
 * Every weight is rounded down or up: its code is clamp(⌊w / s⌋ + z + h(α), n, p), with the
 * rectified sigmoid h(α) = clip(σ(α)(ζ − γ) + γ, 0, 1), ζ = 1.1, γ = −0.1 (eq. 23), started where
 * h(α) = frac(w / s). Minimized over α is
 *
 *     Σ_k E_k(ŵ(α)) / e  +  λ Σ (1 − |2 h(α) − 1|^β)                       (eq. 21, 24)
 *
 * by Adam, β falling linearly from 20 to 2 after a warm start without the second term. Deviations:
 * - E_k comes from the Gram matrix (linear_problem.h), so a step costs K·D² instead of a pass over
 * a mini-batch, uses all samples, and the bias is always the best one.
 * - e = mean of s_k² H_dd, the cost of moving one weight by one code, makes λ free of the scale of
 * the data; the paper's λ = 0.01 belongs to outputs of size one.
 */

#include "ptqd/kern/gemm.h"
#include "ptqd/recon/adam.h"
#include "ptqd/recon/method.h"

#include <math.h>

static const double ZETA = 1.1, GAMMA = -0.1;
static const double BETA_START = 20.0, BETA_END = 2.0;

/* Defaults. The paper takes 10 000 steps on mini-batches, at a rate of 0.001. Here every step sees
 * all samples: ten times as many, at a rate of 0.003, gain 0.05 dB on the layers of ResNet-8 and
 * DS-CNN at 2 and 4 bits. */
enum { STEPS = 500 };
static const double LEARNING_RATE = 0.03;

enum { REPORT_INTERVAL = 8, SMALL_COLUMN = 32, POLISH_SWEEPS = 50 };

struct rounding {
    const struct linear_problem *problem;
    struct quant_layer *layer;
    float *H;        /* [G][D][D] */
    float *target;   /* [K][D] */
    float *floors;   /* [K][D] ⌊w / s⌋ */
    float *alpha;    /* [K][D] */
    float *soft;     /* [K][D] ŵ */
    float *slope;    /* [K][D] ∂ŵ/∂α */
    float *residual; /* [K][D] ŵ H − target, half the gradient of E */
    double unit;     /* e */
};

static float scale_of(const struct rounding *rounding, int64_t k)
{
    const struct quantizer *quantizer = &rounding->layer->quantizer;
    return quantizer->scales[quantizer->channels == 1 ? 0 : k];
}

/* Codes without the zero point: w / s, and the ends n − z and p − z. */
struct ends {
    int32_t zero_point;
    float low, high;
};

static struct ends ends_of(const struct rounding *rounding, int64_t k)
{
    const struct quantizer *quantizer = &rounding->layer->quantizer;
    int32_t zero_point = quantizer->zero_points[quantizer->channels == 1 ? 0 : k];
    return (struct ends){
        .zero_point = zero_point,
        .low = (float)(quantizer->low - zero_point),
        .high = (float)(quantizer->high - zero_point),
    };
}

static void copy_to_float(const double *from, int64_t count, float *to)
{
    for (int64_t i = 0; i < count; i++)
        to[i] = (float)from[i];
}

/* h⁻¹(frac(w / s)); h reaches 0 and 1, so every fraction in [0, 1) has an α. */
static float alpha_of_fraction(double fraction)
{
    return (float)-log((ZETA - GAMMA) / (fraction - GAMMA) - 1.0);
}

static void start(struct rounding *rounding)
{
    const struct linear_problem *problem = rounding->problem;
    int64_t D = problem->D, per_group = problem->K / problem->G;
    double sum = 0.0;
    for (int64_t k = 0; k < problem->K; k++) {
        float scale = scale_of(rounding, k);
        const double *H = problem->H + k / per_group * D * D;
        for (int64_t d = 0; d < D; d++) {
            float place = problem->weights[k * D + d] / scale;
            rounding->floors[k * D + d] = floorf(place);
            rounding->alpha[k * D + d] = alpha_of_fraction((double)(place - floorf(place)));
            sum += (double)scale * (double)scale * H[d * D + d];
        }
    }
    rounding->unit = sum / (double)(problem->K * D);
}

static bool rounding_create(struct arena *arena, const struct linear_problem *problem,
                            struct quant_layer *layer, struct rounding *out, struct error *err)
{
    int64_t cells = problem->K * problem->D, moments = problem->G * problem->D * problem->D;
    struct rounding rounding = {
        .problem = problem,
        .layer = layer,
        .H = ARENA_ARRAY(arena, float, moments, err),
        .target = ARENA_ARRAY(arena, float, cells, err),
        .floors = ARENA_ARRAY(arena, float, cells, err),
        .alpha = ARENA_ARRAY(arena, float, cells, err),
        .soft = ARENA_ARRAY(arena, float, cells, err),
        .slope = ARENA_ARRAY(arena, float, cells, err),
        .residual = ARENA_ARRAY(arena, float, cells, err),
    };
    if (!rounding.H || !rounding.target || !rounding.floors || !rounding.alpha || !rounding.soft ||
        !rounding.slope || !rounding.residual)
        return false;
    copy_to_float(problem->H, moments, rounding.H);
    copy_to_float(problem->target, cells, rounding.target);
    start(&rounding);
    *out = rounding;
    return true;
}

/* ŵ and its slope for the present α. */
static void soften(struct rounding *rounding)
{
    int64_t D = rounding->problem->D;
    for (int64_t k = 0; k < rounding->problem->K; k++) {
        float scale = scale_of(rounding, k);
        struct ends ends = ends_of(rounding, k);
        for (int64_t i = k * D; i < (k + 1) * D; i++) {
            float sigmoid = 1.0f / (1.0f + expf(-rounding->alpha[i]));
            float h = sigmoid * (float)(ZETA - GAMMA) + (float)GAMMA;
            bool inside = h > 0.0f && h < 1.0f;
            float code = rounding->floors[i] + (h < 0.0f ? 0.0f : h > 1.0f ? 1.0f : h);
            bool on_grid = code >= ends.low && code <= ends.high;
            code = code < ends.low ? ends.low : code > ends.high ? ends.high : code;
            rounding->soft[i] = scale * code;
            rounding->slope[i] = inside && on_grid
                                     ? scale * sigmoid * (1.0f - sigmoid) * (float)(ZETA - GAMMA)
                                     : 0.0f;
        }
    }
}

/* residual = ŵ H − target, group by group. A gemm call costs more than a small product. */
static void measure(struct rounding *rounding)
{
    const struct linear_problem *problem = rounding->problem;
    int64_t D = problem->D, rows = problem->K / problem->G;
    for (int64_t g = 0; g < problem->G; g++) {
        const float *H = rounding->H + g * D * D;
        const float *soft = rounding->soft + g * rows * D;
        float *residual = rounding->residual + g * rows * D;
        if (rows > 1 || D > SMALL_COLUMN) {
            gemm_f32(&(struct gemm_shape){.M = rows, .N = D, .K = D}, 1.0f, soft, H, 0.0f,
                     residual);
            continue;
        }
        for (int64_t j = 0; j < D; j++)
            residual[j] = 0.0f;
        for (int64_t i = 0; i < D; i++)
            for (int64_t j = 0; j < D; j++)
                residual[j] += soft[i] * H[i * D + j];
    }
    for (int64_t i = 0; i < problem->K * D; i++)
        rounding->residual[i] -= rounding->target[i];
}

/* Σ_k E_k / e of the soft weights: V + ŵ·(ŵH − t) − ŵ·t. */
static double soft_loss(const struct rounding *rounding)
{
    const struct linear_problem *problem = rounding->problem;
    double sum = 0.0;
    for (int64_t k = 0; k < problem->K; k++)
        sum += problem->target_variance[k];
    for (int64_t i = 0; i < problem->K * problem->D; i++)
        sum += (double)rounding->soft[i] *
               ((double)rounding->residual[i] - (double)rounding->target[i]);
    return sum / rounding->unit;
}

/* The gradient with respect to α, in place of the residual. */
static void add_terms(struct rounding *rounding, double lambda, double beta)
{
    float reconstruction = (float)(2.0 / rounding->unit);
    int64_t D = rounding->problem->D;
    for (int64_t k = 0; k < rounding->problem->K; k++) {
        float scale = scale_of(rounding, k);
        for (int64_t i = k * D; i < (k + 1) * D; i++) {
            float gradient = reconstruction * rounding->residual[i] * rounding->slope[i];
            if (lambda > 0.0 && rounding->slope[i] > 0.0f) {
                float h = rounding->soft[i] / scale - rounding->floors[i];
                float u = 2.0f * h - 1.0f;
                float size = (float)(lambda * 2.0 * beta) * powf(fabsf(u), (float)beta - 1.0f);
                gradient -= copysignf(size, u) * rounding->slope[i] / scale;
            }
            rounding->residual[i] = gradient;
        }
    }
}

static void harden(const struct rounding *rounding)
{
    int64_t D = rounding->problem->D;
    for (int64_t k = 0; k < rounding->problem->K; k++) {
        struct ends ends = ends_of(rounding, k);
        for (int64_t i = k * D; i < (k + 1) * D; i++) {
            float code = rounding->floors[i] + (rounding->alpha[i] >= 0.0f ? 1.0f : 0.0f);
            code = fminf(fmaxf(code, ends.low), ends.high);
            rounding->layer->codes[i] = (int8_t)((int32_t)code + ends.zero_point);
        }
    }
}

/* Improving flips between ⌊w / s⌋ and ⌊w / s⌋ + 1 for one channel, until none is left: with
 * r = ŵ H − target, moving weight d by δ changes E by 2 δ r_d + δ² H_dd. */
static void polish_channel(const struct rounding *rounding, int64_t k, double *residual)
{
    const struct linear_problem *problem = rounding->problem;
    struct ends ends = ends_of(rounding, k);
    int64_t D = problem->D;
    const double *H = problem->H + k / (problem->K / problem->G) * D * D;
    const float *floors = rounding->floors + k * D;
    int8_t *codes = rounding->layer->codes + k * D;
    double scale = (double)scale_of(rounding, k);
    for (int64_t d = 0; d < D; d++)
        residual[d] = -problem->target[k * D + d];
    for (int64_t i = 0; i < D; i++)
        for (int64_t d = 0; d < D; d++)
            residual[d] += scale * (codes[i] - ends.zero_point) * H[i * D + d];

    bool moved = true;
    for (int sweep = 0; moved && sweep < POLISH_SWEEPS; sweep++) {
        moved = false;
        for (int64_t d = 0; d < D; d++) {
            int32_t code = codes[d] - ends.zero_point;
            float other = floors[d] + ((float)code > floors[d] ? 0.0f : 1.0f);
            if (other < ends.low || other > ends.high)
                continue;
            double step = scale * ((double)other - code);
            if (!(2.0 * step * residual[d] + step * step * H[d * D + d] < 0.0))
                continue;
            codes[d] = (int8_t)((int32_t)other + ends.zero_point);
            for (int64_t j = 0; j < D; j++)
                residual[j] += step * H[d * D + j];
            moved = true;
        }
    }
}

static bool polish(const struct rounding *rounding, const struct recon_monitor *monitor,
                   struct arena *scratch, struct error *err)
{
    double *residual = ARENA_ARRAY(scratch, double, rounding->problem->D, err);
    if (!residual)
        return false;
    for (int64_t k = 0; k < rounding->problem->K; k++) {
        polish_channel(rounding, k, residual);
        if (!recon_monitor_report(monitor, 1.0, NAN, err))
            return false;
    }
    quant_layer_decode(rounding->layer);
    return true;
}

static bool round_solve(const struct linear_problem *problem, const struct method_options *options,
                        const struct recon_monitor *monitor, struct arena *scratch,
                        struct quant_layer *layer, struct error *err)
{
    struct rounding rounding;
    struct adam adam;
    if (!rounding_create(scratch, problem, layer, &rounding, err) ||
        !adam_init(scratch, (size_t)(problem->K * problem->D), &adam, err))
        return false;

    int64_t steps = method_iterations(options, STEPS);
    int64_t warm = (int64_t)(options->warm_start * (double)steps);
    double learning_rate = method_learning_rate(options, LEARNING_RATE);
    bool data_matters = rounding.unit > 0.0; /* all inputs constant: nothing to choose by */
    for (int64_t step = 0; data_matters && step < steps; step++) {
        soften(&rounding);
        measure(&rounding);
        if (step % REPORT_INTERVAL == 0 &&
            !recon_monitor_report(monitor, (double)step / (double)steps,
                                  soft_loss(&rounding) * rounding.unit / (double)problem->K, err))
            return false;
        double past = (double)(step - warm) / (double)(steps - warm);
        double beta = BETA_START + (BETA_END - BETA_START) * past;
        add_terms(&rounding, step < warm ? 0.0 : options->regularization, beta);
        adam_step(&adam, learning_rate, rounding.residual, rounding.alpha);
    }
    harden(&rounding);
    if (!polish(&rounding, monitor, scratch, err))
        return false;
    linear_problem_set_bias(problem, layer);
    return true;
}

const struct method method_round = {
    .name = "round",
    .help =
        "Each weight is rounded down or up so that the layer's output changes least (AdaRound).",
    .uses_data = true,
    .trained = TRAIN_ROUND,
    .solve = round_solve,
};
