/* Convolution through oneDNN.
 *
 * A primitive is made for one number of samples. A plan keeps those of its own number for ever
 * (slot 0) and those of a few others, for the smaller last batch of a pass over a data set; when
 * all slots are taken the oldest of the others gives way. The primitives of a slot are made when
 * they are first needed. Activations stay in N, H, W, C, so that layers follow each other without
 * changes of layout; weights are brought into whatever layout the primitive likes best.
 *
 * The gradient of the weights of a 1 × 1 filter with a stride is taken with stride 1 from the
 * positions of x that the filter stands on, gathered here. oneDNN 2.6 does the same within its JIT
 * primitive, but writes past its buffer ("reduce to unit stride") for some shapes, as 8 → 16
 * channels on 64 × 64 with stride 2.
 *
 * Depthwise filters have passes of this room's own (depthwise.h) for y and the gradient to x. In
 * GFLOP/s of 118 that one core can do, oneDNN's in brackets, 3 × 3 filters on 32 samples:
 *
 *                      forward   gradient to x
 *   25 × 5 × 64        69 (41)         69 (33)
 *   48 × 48 × 8        49 (31)         49 (28)
 *   24 × 24 × 32       73 (60)         72 (53)
 *   6 × 6 × 128        67 (62)         66 (45)
 *   28 × 28 × 192      37 (17)         37 (16)     more than the caches hold
 *
 * The gradient of their weights stays oneDNN's, which is at 53 to 70 % of the peak where a
 * vector's channels are there; so do maps of a few places.
 *
 * Dense filters on few input channels have a forward pass of this room's own, too (shallow.h):
 *
 *   49 × 10 × 1 → 64, 10 × 4, stride 2     108 (80)
 *   96 × 96 × 3 → 8, 3 × 3, stride 2        60 (46)
 *   32 × 32 × 3 → 16, 3 × 3                 79 (72)
 *
 * Dense 3 × 3 filters of 16, 32 … channels with stride 1 are Winograd's (winograd.h) in training
 * and for the float network's outputs: these bear its rounding errors, while what is solved,
 * simulated or exported is computed in the order of the definition. In GFLOP/s of direct
 * convolution, oneDNN's in brackets:
 *
 *                      forward   gradient to x   gradient to w
 *   32 × 32 × 16      175 (113)      176 (116)       202 (119)
 *   16 × 16 × 32      293 (121)      296 (121)       295 (123)
 *   8 × 8 × 64        328 (137)      348 (140)       299 (130)
 *
 * oneDNN has Winograd, too, for blocked layouts: 78, 196 and 262 forward. */

#include "depthwise.h"
#include "onednn.h"
#include "ptqd/kern/conv.h"
#include "ptqd/kern/relu.h"
#include "shallow.h"
#include "winograd.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum pass_kind {
    PASS_FORWARD,
    PASS_GRAD_X,       /* written */
    PASS_GRAD_X_ADDED, /* to what is there */
    PASS_GRAD_W,
    PASS_COUNT
};

struct slot {
    int64_t N; /* 0: free */
    bool ready[PASS_COUNT];
    struct onednn_pass *passes[PASS_COUNT]; /* NULL when ready: oneDNN has none */
};

enum { SLOT_COUNT = 4 };

static bool goes_backward(enum conv_use use)
{
    return use == CONV_GRADIENTS || use == CONV_TRAINING;
}

struct conv_plan {
    struct conv_shape shape;
    enum conv_use use;
    bool relu;
    struct depthwise *depthwise; /* NULL: these passes are oneDNN's, too */
    struct winograd *winograd;   /* of all passes; else NULL */
    struct shallow *shallow;     /* of the forward pass; else NULL */
    struct onednn_device device;
    float *no_bias;  /* [K] zeros */
    float *gathered; /* [N][OH][OW][C], the positions a strided 1 × 1 filter stands on; else NULL */
    struct slot slots[SLOT_COUNT];
    int next; /* slot that gives way, 1 … SLOT_COUNT − 1 */
};

/* Tensors of one number of samples as oneDNN describes them: the caller's layouts, and layouts for
 * it to choose. */
struct layouts {
    dnnl_memory_desc_t x, w, bias, y;
    dnnl_memory_desc_t any_w;
    dnnl_dims_t strides, dilations, pads_before, pads_after;
};

static bool layouts_init(const struct conv_shape *shape, int64_t N, struct layouts *out,
                         struct error *err)
{
    int64_t G = shape->G;
    dnnl_dims_t x = {N, shape->C, shape->H, shape->W};
    dnnl_dims_t y = {N, shape->K, shape->OH, shape->OW};
    dnnl_dims_t bias = {shape->K};
    dnnl_dims_t w = {shape->K, shape->C, shape->R, shape->S};
    dnnl_dims_t grouped = {G, shape->K / G, shape->C / G, shape->R, shape->S};
    int rank = G == 1 ? 4 : 5;
    dnnl_dim_t *weights = G == 1 ? w : grouped;
    dnnl_format_tag_t tag = G == 1 ? dnnl_ohwi : dnnl_gohwi;
    *out = (struct layouts){
        .strides = {shape->stride_h, shape->stride_w},
        .dilations = {shape->dilation_h - 1, shape->dilation_w - 1},
        .pads_before = {shape->pad_top, shape->pad_left},
        .pads_after = {shape->pad_bottom, shape->pad_right},
    };
    const char *what = "the tensors of a convolution";
    return onednn_check(dnnl_memory_desc_init_by_tag(&out->x, 4, x, dnnl_f32, dnnl_nhwc), what,
                        err) &&
           onednn_check(dnnl_memory_desc_init_by_tag(&out->y, 4, y, dnnl_f32, dnnl_nhwc), what,
                        err) &&
           onednn_check(dnnl_memory_desc_init_by_tag(&out->bias, 1, bias, dnnl_f32, dnnl_a), what,
                        err) &&
           onednn_check(dnnl_memory_desc_init_by_tag(&out->w, rank, weights, dnnl_f32, tag), what,
                        err) &&
           onednn_check(dnnl_memory_desc_init_by_tag(&out->any_w, rank, weights, dnnl_f32,
                                                     dnnl_format_tag_any),
                        what, err);
}

static bool forward_operation(const struct layouts *at, dnnl_prop_kind_t kind,
                              dnnl_convolution_desc_t *out, struct error *err)
{
    return onednn_check(dnnl_dilated_convolution_forward_desc_init(
                            out, kind, dnnl_convolution_direct, &at->x, &at->any_w, &at->bias,
                            &at->y, at->strides, at->dilations, at->pads_before, at->pads_after),
                        "a convolution", err);
}

static bool create_forward(const struct conv_plan *plan, const struct layouts *at,
                           struct onednn_pass **out_pass, struct error *err)
{
    dnnl_convolution_desc_t operation;
    const struct onednn_tensor tensors[] = {
        {DNNL_ARG_SRC, dnnl_query_src_md, 0, at->x, ONEDNN_INPUT},
        {DNNL_ARG_WEIGHTS, dnnl_query_weights_md, 0, at->w, ONEDNN_INPUT},
        {DNNL_ARG_BIAS, dnnl_query_weights_md, 1, at->bias, ONEDNN_INPUT},
        {DNNL_ARG_DST, dnnl_query_dst_md, 0, at->y, ONEDNN_OUTPUT},
    };
    return forward_operation(at, dnnl_forward_inference, &operation, err) &&
           onednn_pass_create(&plan->device, &operation,
                              plan->relu ? ONEDNN_RECTIFIED : ONEDNN_AS_IS, NULL, tensors, 4,
                              out_pass, err);
}

static bool create_grad_x(const struct conv_plan *plan, const struct layouts *at,
                          enum onednn_role role, const_dnnl_primitive_desc_t hint,
                          struct onednn_pass **out_pass, struct error *err)
{
    dnnl_convolution_desc_t operation;
    const struct onednn_tensor tensors[] = {
        {DNNL_ARG_WEIGHTS, dnnl_query_weights_md, 0, at->w, ONEDNN_INPUT},
        {DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md, 0, at->y, ONEDNN_INPUT},
        {DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md, 0, at->x, role},
    };
    return onednn_check(dnnl_dilated_convolution_backward_data_desc_init(
                            &operation, dnnl_convolution_direct, &at->x, &at->any_w, &at->y,
                            at->strides, at->dilations, at->pads_before, at->pads_after),
                        "a convolution's gradient", err) &&
           onednn_pass_create(&plan->device, &operation, ONEDNN_AS_IS, hint, tensors, 3, out_pass,
                              err);
}

static bool create_grad_w(const struct conv_plan *plan, const struct layouts *at,
                          const_dnnl_primitive_desc_t hint, struct onednn_pass **out_pass,
                          struct error *err)
{
    dnnl_convolution_desc_t operation;
    const struct onednn_tensor tensors[] = {
        {DNNL_ARG_SRC, dnnl_query_src_md, 0, at->x, ONEDNN_INPUT},
        {DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md, 0, at->y, ONEDNN_INPUT},
        {DNNL_ARG_DIFF_WEIGHTS, dnnl_query_diff_weights_md, 0, at->w, ONEDNN_OUTPUT_ADDED},
    };
    return onednn_check(dnnl_dilated_convolution_backward_weights_desc_init(
                            &operation, dnnl_convolution_direct, &at->x, &at->any_w, NULL, &at->y,
                            at->strides, at->dilations, at->pads_before, at->pads_after),
                        "a convolution's gradient", err) &&
           onednn_pass_create(&plan->device, &operation, ONEDNN_AS_IS, hint, tensors, 3, out_pass,
                              err);
}

/* A backward pass: oneDNN wants to know the forward pass it belongs to. */
static bool create_gradient(const struct conv_plan *plan, const struct layouts *at,
                            enum pass_kind kind, struct onednn_pass **out_pass, struct error *err)
{
    dnnl_convolution_desc_t operation;
    dnnl_primitive_desc_t hint = NULL;
    if (!forward_operation(at, dnnl_forward_training, &operation, err))
        return false;
    dnnl_status_t status =
        dnnl_primitive_desc_create(&hint, &operation, NULL, plan->device.engine, NULL);
    if (status == dnnl_unimplemented) {
        *out_pass = NULL;
        return true;
    }
    if (!onednn_check(status, "a convolution", err))
        return false;
    enum onednn_role role = kind == PASS_GRAD_X ? ONEDNN_OUTPUT : ONEDNN_OUTPUT_ADDED;
    bool good = kind == PASS_GRAD_W ? create_grad_w(plan, at, hint, out_pass, err)
                                    : create_grad_x(plan, at, role, hint, out_pass, err);
    (void)dnnl_primitive_desc_destroy(hint); /* fails for NULL only */
    return good;
}

static void slot_finish(struct slot *slot)
{
    for (int i = 0; i < PASS_COUNT; i++)
        onednn_pass_destroy(slot->passes[i]);
    *slot = (struct slot){0};
}

static struct slot *slot_of(struct conv_plan *plan, int64_t N)
{
    for (int i = 0; i < SLOT_COUNT; i++)
        if (plan->slots[i].N == N)
            return &plan->slots[i];
    struct slot *slot = &plan->slots[plan->next];
    plan->next = plan->next == SLOT_COUNT - 1 ? 1 : plan->next + 1;
    slot_finish(slot);
    slot->N = N;
    return slot;
}

static bool gathers_positions(const struct conv_shape *shape)
{
    bool strided = shape->stride_h > 1 || shape->stride_w > 1;
    return shape->R == 1 && shape->S == 1 && strided && shape->pad_top == 0 &&
           shape->pad_left == 0 && shape->pad_bottom == 0 && shape->pad_right == 0;
}

/* The same layer on the gathered positions. */
static struct conv_shape gathered_shape(const struct conv_shape *shape)
{
    struct conv_shape gathered = *shape;
    gathered.H = shape->OH;
    gathered.W = shape->OW;
    gathered.stride_h = gathered.stride_w = 1;
    return gathered;
}

static void gather_positions(const struct conv_shape *shape, const float *x, float *out)
{
    for (int64_t n = 0; n < shape->N; n++)
        for (int64_t oh = 0; oh < shape->OH; oh++) {
            const float *row = x + (n * shape->H + oh * shape->stride_h) * shape->W * shape->C;
            for (int64_t ow = 0; ow < shape->OW; ow++, out += shape->C)
                memcpy(out, row + ow * shape->stride_w * shape->C, (size_t)shape->C * sizeof(*out));
        }
}

/* The pass for N samples; `*out_pass` NULL: use the reference. */
static bool pass_find(struct conv_plan *plan, int64_t N, enum pass_kind kind,
                      struct onednn_pass **out_pass, struct error *err)
{
    assert(N >= 1 && N <= plan->shape.N);
    assert(kind == PASS_FORWARD || goes_backward(plan->use));
    struct slot *slot = slot_of(plan, N);
    if (!slot->ready[kind]) {
        struct layouts layouts;
        bool gathers = kind == PASS_GRAD_W && plan->gathered != NULL;
        struct conv_shape shape = gathers ? gathered_shape(&plan->shape) : plan->shape;
        onednn_single_thread();
        if (!layouts_init(&shape, N, &layouts, err))
            return false;
        bool good = kind == PASS_FORWARD
                        ? create_forward(plan, &layouts, &slot->passes[kind], err)
                        : create_gradient(plan, &layouts, kind, &slot->passes[kind], err);
        if (!good)
            return error_context(err, "convolution of %lld samples", (long long)N);
        slot->ready[kind] = true;
    }
    *out_pass = slot->passes[kind];
    return true;
}

static bool create_buffers(struct conv_plan *plan, struct error *err)
{
    const struct conv_shape *shape = &plan->shape;
    plan->no_bias = calloc((size_t)shape->K, sizeof(float));
    if (plan->no_bias == NULL)
        return FAIL(err, E_MEMORY, "no memory for %lld biases", (long long)shape->K);
    if (!goes_backward(plan->use) || !gathers_positions(shape))
        return true;
    struct conv_shape gathered = gathered_shape(shape);
    int64_t count = conv_input_elements(&gathered);
    plan->gathered = calloc((size_t)count, sizeof(float));
    if (plan->gathered == NULL)
        return FAIL(err, E_MEMORY, "no memory for %lld gathered activations", (long long)count);
    return true;
}

/* By whom it may be. A device is made where oneDNN may be asked for a pass. */
static bool create_forward_pass(struct conv_plan *plan, struct error *err)
{
    const struct conv_shape *shape = &plan->shape;
    struct onednn_pass *pass;
    bool depthwise = depthwise_takes(shape), shallow = shallow_takes(shape);
    bool gradients = goes_backward(plan->use);
    bool coarse = plan->use == CONV_INFERENCE || plan->use == CONV_TRAINING;
    if (coarse && winograd_takes(shape))
        return winograd_create(shape, &plan->winograd, err);
    if (((!depthwise && !shallow) || gradients) && !onednn_device_create(&plan->device, err))
        return false;
    if (depthwise)
        return depthwise_create(shape, gradients, &plan->depthwise, err);
    return shallow ? shallow_create(shape, &plan->shallow, err)
                   : pass_find(plan, shape->N, PASS_FORWARD, &pass, err);
}

static bool plan_create(const struct conv_shape *shape, enum conv_use use, bool relu,
                        struct conv_plan **out_plan, struct error *err)
{
    struct conv_plan *plan = calloc(1, sizeof(*plan));
    if (plan == NULL)
        return FAIL(err, E_MEMORY, "no memory for a convolution (%zu bytes)", sizeof(*plan));
    plan->shape = *shape;
    plan->use = use;
    plan->relu = relu;
    plan->slots[0].N = shape->N;
    plan->next = 1;
    if (!create_buffers(plan, err) || !create_forward_pass(plan, err)) {
        conv_plan_destroy(plan);
        return false;
    }
    *out_plan = plan;
    return true;
}

bool conv_plan_create(const struct conv_shape *shape, enum conv_use use,
                      struct conv_plan **out_plan, struct error *err)
{
    return plan_create(shape, use, false, out_plan, err);
}

bool conv_plan_create_relu(const struct conv_shape *shape, enum conv_use use,
                           struct conv_plan **out_plan, struct error *err)
{
    return plan_create(shape, use, true, out_plan, err);
}

void conv_plan_destroy(struct conv_plan *plan)
{
    if (plan == NULL)
        return;
    for (int i = 0; i < SLOT_COUNT; i++)
        slot_finish(&plan->slots[i]);
    depthwise_destroy(plan->depthwise);
    winograd_destroy(plan->winograd);
    shallow_destroy(plan->shallow);
    onednn_device_destroy(&plan->device);
    free(plan->no_bias);
    free(plan->gathered);
    free(plan);
}

static struct conv_shape shape_of(const struct conv_plan *plan, int64_t N)
{
    struct conv_shape shape = plan->shape;
    shape.N = N;
    return shape;
}

bool conv_plan_forward(struct conv_plan *plan, int64_t N, const float *x, const float *w,
                       const float *bias, float *y, struct error *err)
{
    if (plan->depthwise != NULL) {
        depthwise_forward(plan->depthwise, N, x, w, bias, plan->relu, y);
        return true;
    }
    if (plan->winograd != NULL) {
        winograd_forward(plan->winograd, N, x, w, bias, plan->relu, y);
        return true;
    }
    if (plan->shallow != NULL) {
        shallow_forward(plan->shallow, N, x, w, bias, plan->relu, y);
        return true;
    }
    struct onednn_pass *pass;
    if (!pass_find(plan, N, PASS_FORWARD, &pass, err))
        return false;
    if (pass == NULL) {
        struct conv_shape shape = shape_of(plan, N);
        conv2d_f32(&shape, x, w, bias, y);
        if (plan->relu)
            relu_f32(y, conv_output_elements(&shape), y);
        return true;
    }
    const void *data[] = {x, w, bias != NULL ? bias : plan->no_bias, y};
    return onednn_pass_execute(pass, data, err);
}

bool conv_plan_grad_x(struct conv_plan *plan, int64_t N, const float *w, const float *grad_y,
                      bool fresh, float *grad_x, struct error *err)
{
    if (plan->depthwise != NULL) {
        depthwise_grad_x(plan->depthwise, N, w, grad_y, fresh, grad_x);
        return true;
    }
    if (plan->winograd != NULL) {
        winograd_grad_x(plan->winograd, N, w, grad_y, fresh, grad_x);
        return true;
    }
    struct onednn_pass *pass;
    if (!pass_find(plan, N, fresh ? PASS_GRAD_X : PASS_GRAD_X_ADDED, &pass, err))
        return false;
    if (pass == NULL) {
        struct conv_shape shape = shape_of(plan, N);
        if (fresh)
            memset(grad_x, 0, (size_t)conv_input_elements(&shape) * sizeof(*grad_x));
        conv2d_f32_grad_x(&shape, w, grad_y, grad_x);
        return true;
    }
    const void *data[] = {w, grad_y, grad_x};
    return onednn_pass_execute(pass, data, err);
}

bool conv_plan_grad_w(struct conv_plan *plan, int64_t N, const float *x, const float *grad_y,
                      float *grad_w, struct error *err)
{
    if (plan->winograd != NULL) {
        winograd_grad_w(plan->winograd, N, x, grad_y, grad_w);
        return true;
    }
    struct onednn_pass *pass;
    if (!pass_find(plan, N, PASS_GRAD_W, &pass, err))
        return false;
    if (pass == NULL) {
        struct conv_shape shape = shape_of(plan, N);
        conv2d_f32_grad_w(&shape, x, grad_y, grad_w);
        return true;
    }
    if (plan->gathered != NULL) {
        struct conv_shape shape = shape_of(plan, N);
        gather_positions(&shape, x, plan->gathered);
        x = plan->gathered;
    }
    const void *data[] = {x, grad_y, grad_w};
    return onednn_pass_execute(pass, data, err);
}
