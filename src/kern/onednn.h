#pragma once

/* What this room's users of oneDNN share: a device, and one primitive ("pass") between tensors in
 * the caller's layout.
 *
 * Debian's oneDNN runs on OpenMP (libgomp), which would take every core. The number of threads is
 * a per-thread setting there, so onednn_single_thread is called wherever this room enters oneDNN:
 * no thread has to be prepared by anybody else, and a product never depends on a thread count. */

#include "ptqd/base/error.h"

#include <oneapi/dnnl/dnnl.h>

void onednn_single_thread(void);

/* True on success; else E_MEMORY when the library ran out of it, or E_INTERNAL with `what`. */
bool onednn_check(dnnl_status_t status, const char *what, struct error *err);

struct onednn_device {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
};

bool onednn_device_create(struct onednn_device *out_device, struct error *err);
void onednn_device_destroy(struct onednn_device *device);

/* What becomes of a value on its way to the output. */
enum onednn_after {
    ONEDNN_AS_IS,
    ONEDNN_SUMMED,   /* added to what is there */
    ONEDNN_RECTIFIED /* max(value, 0), and 0 for NaN */
};

enum onednn_role {
    ONEDNN_INPUT,
    ONEDNN_OUTPUT,       /* written */
    ONEDNN_OUTPUT_ADDED, /* added to what the caller's tensor has */
};

/* A tensor of a primitive, as the caller has it. */
struct onednn_tensor {
    int argument;              /* DNNL_ARG_… */
    dnnl_query_t query;        /* what the primitive wants in its place: dnnl_query_src_md … */
    int query_index;           /* among several, as the weights and the bias */
    dnnl_memory_desc_t layout; /* the caller's */
    enum onednn_role role;
};

enum { ONEDNN_TENSORS_MAX = 4 };

struct onednn_pass;

/* A primitive of an operation descriptor, with `after` at its end. `*out_pass` is NULL, and that is
 * a success, when oneDNN has no implementation. `hint` (borrowed): forward descriptor that a
 * backward pass needs. */
bool onednn_pass_create(const struct onednn_device *device, const_dnnl_op_desc_t operation,
                        enum onednn_after after, const_dnnl_primitive_desc_t hint,
                        const struct onednn_tensor *tensors, int tensor_count,
                        struct onednn_pass **out_pass, struct error *err);
void onednn_pass_destroy(struct onednn_pass *pass);

/* `data[i]` is the memory of tensor i; inputs are not written. */
bool onednn_pass_execute(struct onednn_pass *pass, const void *const *data, struct error *err);
