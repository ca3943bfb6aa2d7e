/* oneDNN: a device, and primitives between tensors in the caller's layout.
 *
 * A primitive chooses the layout of its operands. Where that is the caller's, the caller's memory
 * is used as it is; elsewhere the pass owns a tensor and a reorder. What is added to the caller's
 * memory always goes through a tensor of the pass, by a reorder with a sum: backward primitives
 * can only overwrite. */

#include "onednn.h"

#include <stdint.h>
#include <stdlib.h>

/* Of libgomp, the OpenMP runtime oneDNN is linked with; omp.h comes with one compiler only. */
void omp_set_num_threads(int count);

void onednn_single_thread(void)
{
    omp_set_num_threads(1);
}

bool onednn_check(dnnl_status_t status, const char *what, struct error *err)
{
    if (status == dnnl_success)
        return true;
    if (status == dnnl_out_of_memory)
        return FAIL(err, E_MEMORY, "oneDNN has no memory for %s", what);
    return FAIL(err, E_INTERNAL, "oneDNN refused %s (status %d)", what, (int)status);
}

bool onednn_device_create(struct onednn_device *out_device, struct error *err)
{
    struct onednn_device device = {NULL, NULL};
    if (!onednn_check(dnnl_engine_create(&device.engine, dnnl_cpu, 0), "an engine", err))
        return false;
    if (!onednn_check(dnnl_stream_create(&device.stream, device.engine, dnnl_stream_default_flags),
                      "a stream", err)) {
        onednn_device_destroy(&device);
        return false;
    }
    *out_device = device;
    return true;
}

void onednn_device_destroy(struct onednn_device *device)
{
    /* Destroying what was never created is all these calls can fail at. */
    if (device->stream != NULL)
        (void)dnnl_stream_destroy(device->stream);
    if (device->engine != NULL)
        (void)dnnl_engine_destroy(device->engine);
    *device = (struct onednn_device){NULL, NULL};
}

struct operand {
    enum onednn_role role;
    dnnl_memory_t user;       /* the caller's layout; its pointer is set by every execution */
    dnnl_memory_t own;        /* in the primitive's layout; NULL: `user` is good for both */
    dnnl_primitive_t reorder; /* between the two */
};

struct onednn_pass {
    struct onednn_device device; /* borrowed */
    dnnl_primitive_t primitive;
    dnnl_memory_t scratchpad;
    struct operand operands[ONEDNN_TENSORS_MAX];
    dnnl_exec_arg_t arguments[ONEDNN_TENSORS_MAX + 1];
    int operand_count;
};

void onednn_pass_destroy(struct onednn_pass *pass)
{
    if (pass == NULL)
        return;
    for (int i = 0; i < pass->operand_count; i++) {
        struct operand *operand = &pass->operands[i];
        if (operand->reorder != NULL)
            (void)dnnl_primitive_destroy(operand->reorder); /* fails for NULL only, as below */
        if (operand->own != NULL)
            (void)dnnl_memory_destroy(operand->own);
        if (operand->user != NULL)
            (void)dnnl_memory_destroy(operand->user);
    }
    if (pass->scratchpad != NULL)
        (void)dnnl_memory_destroy(pass->scratchpad);
    if (pass->primitive != NULL)
        (void)dnnl_primitive_destroy(pass->primitive);
    free(pass);
}

static bool append(enum onednn_after after, dnnl_post_ops_t list, struct error *err)
{
    return after == ONEDNN_SUMMED
               ? onednn_check(dnnl_post_ops_append_sum(list, 1.0f), "a sum", err)
               : onednn_check(dnnl_post_ops_append_eltwise(list, 1.0f, dnnl_eltwise_relu, 0, 0),
                              "a rectifier", err);
}

/* Attributes with the scratchpad in our hands. */
static bool attributes_create(enum onednn_after after, dnnl_primitive_attr_t *out_attributes,
                              struct error *err)
{
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_post_ops_t list = NULL;
    bool good =
        onednn_check(dnnl_primitive_attr_create(&attributes), "attributes", err) &&
        onednn_check(dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user),
                     "a scratchpad", err);
    if (good && after != ONEDNN_AS_IS)
        good = onednn_check(dnnl_post_ops_create(&list), "post-operations", err) &&
               append(after, list, err) &&
               onednn_check(dnnl_primitive_attr_set_post_ops(attributes, list), "post-operations",
                            err);
    if (list != NULL)
        (void)dnnl_post_ops_destroy(list); /* the attributes have a copy */
    if (!good) {
        if (attributes != NULL)
            (void)dnnl_primitive_attr_destroy(attributes);
        return false;
    }
    *out_attributes = attributes;
    return true;
}

static bool reorder_create(const struct onednn_pass *pass, const dnnl_memory_desc_t *from,
                           const dnnl_memory_desc_t *to, bool added, dnnl_primitive_t *out_reorder,
                           struct error *err)
{
    dnnl_primitive_desc_t description = NULL;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_engine_t engine = pass->device.engine;
    if (!attributes_create(added ? ONEDNN_SUMMED : ONEDNN_AS_IS, &attributes, err))
        return false;
    bool good =
        onednn_check(dnnl_reorder_primitive_desc_create(&description, from, engine, to, engine,
                                                        attributes),
                     "a change of layout", err) &&
        onednn_check(dnnl_primitive_create(out_reorder, description), "a change of layout", err);
    if (description != NULL)
        (void)dnnl_primitive_desc_destroy(description);
    (void)dnnl_primitive_attr_destroy(attributes);
    return good;
}

static bool operand_init(struct onednn_pass *pass, struct operand *operand,
                         const struct onednn_tensor *tensor, const dnnl_memory_desc_t *wanted,
                         struct error *err)
{
    dnnl_engine_t engine = pass->device.engine;
    operand->role = tensor->role;
    if (!onednn_check(dnnl_memory_create(&operand->user, &tensor->layout, engine, DNNL_MEMORY_NONE),
                      "a tensor", err))
        return false;
    bool added = tensor->role == ONEDNN_OUTPUT_ADDED;
    if (!added && dnnl_memory_desc_equal(&tensor->layout, wanted) != 0)
        return true;
    if (!onednn_check(dnnl_memory_create(&operand->own, wanted, engine, DNNL_MEMORY_ALLOCATE),
                      "a tensor", err))
        return false;
    if (tensor->role == ONEDNN_INPUT)
        return reorder_create(pass, &tensor->layout, wanted, false, &operand->reorder, err);
    return reorder_create(pass, wanted, &tensor->layout, added, &operand->reorder, err);
}

static bool pass_init(struct onednn_pass *pass, const_dnnl_primitive_desc_t description,
                      const struct onednn_tensor *tensors, int tensor_count, struct error *err)
{
    for (int i = 0; i < tensor_count; i++) {
        struct operand *operand = &pass->operands[i];
        const dnnl_memory_desc_t *wanted =
            dnnl_primitive_desc_query_md(description, tensors[i].query, tensors[i].query_index);
        pass->operand_count = i + 1;
        if (!operand_init(pass, operand, &tensors[i], wanted, err))
            return false;
        pass->arguments[i] = (dnnl_exec_arg_t){
            .arg = tensors[i].argument,
            .memory = operand->own != NULL ? operand->own : operand->user,
        };
    }
    const dnnl_memory_desc_t *scratchpad =
        dnnl_primitive_desc_query_md(description, dnnl_query_scratchpad_md, 0);
    if (!onednn_check(dnnl_memory_create(&pass->scratchpad, scratchpad, pass->device.engine,
                                         DNNL_MEMORY_ALLOCATE),
                      "a scratchpad", err))
        return false;
    pass->arguments[tensor_count] =
        (dnnl_exec_arg_t){.arg = DNNL_ARG_SCRATCHPAD, .memory = pass->scratchpad};
    return onednn_check(dnnl_primitive_create(&pass->primitive, description), "a primitive", err);
}

bool onednn_pass_create(const struct onednn_device *device, const_dnnl_op_desc_t operation,
                        enum onednn_after after, const_dnnl_primitive_desc_t hint,
                        const struct onednn_tensor *tensors, int tensor_count,
                        struct onednn_pass **out_pass, struct error *err)
{
    onednn_single_thread();
    dnnl_primitive_attr_t attributes = NULL;
    if (!attributes_create(after, &attributes, err))
        return false;
    dnnl_primitive_desc_t description = NULL;
    dnnl_status_t status =
        dnnl_primitive_desc_create(&description, operation, attributes, device->engine, hint);
    (void)dnnl_primitive_attr_destroy(attributes); /* fails for NULL only, as below */
    if (status == dnnl_unimplemented) {
        *out_pass = NULL;
        return true;
    }
    if (!onednn_check(status, "an operation", err))
        return false;
    struct onednn_pass *pass = calloc(1, sizeof(*pass));
    bool good = pass != NULL;
    if (!good) {
        (void)FAIL(err, E_MEMORY, "no memory for a primitive (%zu bytes)", sizeof(*pass));
    } else {
        pass->device = *device;
        good = pass_init(pass, description, tensors, tensor_count, err);
    }
    (void)dnnl_primitive_desc_destroy(description);
    if (!good) {
        onednn_pass_destroy(pass);
        return false;
    }
    *out_pass = pass;
    return true;
}

static bool execute_reorder(const struct onednn_pass *pass, const struct operand *operand,
                            dnnl_memory_t from, dnnl_memory_t to, struct error *err)
{
    dnnl_exec_arg_t arguments[] = {
        {.arg = DNNL_ARG_FROM, .memory = from},
        {.arg = DNNL_ARG_TO, .memory = to},
    };
    return onednn_check(dnnl_primitive_execute(operand->reorder, pass->device.stream, 2, arguments),
                        "to change a layout", err);
}

bool onednn_pass_execute(struct onednn_pass *pass, const void *const *data, struct error *err)
{
    onednn_single_thread();
    for (int i = 0; i < pass->operand_count; i++) {
        struct operand *operand = &pass->operands[i];
        /* oneDNN takes every pointer as writable; inputs are only read. */
        void *handle = (void *)(uintptr_t)data[i];
        if (!onednn_check(dnnl_memory_set_data_handle_v2(operand->user, handle,
                                                         pass->device.stream),
                          "a pointer", err))
            return false;
        if (operand->role == ONEDNN_INPUT && operand->reorder != NULL &&
            !execute_reorder(pass, operand, operand->user, operand->own, err))
            return false;
    }
    if (!onednn_check(dnnl_primitive_execute(pass->primitive, pass->device.stream,
                                             pass->operand_count + 1, pass->arguments),
                      "to execute", err))
        return false;
    for (int i = 0; i < pass->operand_count; i++) {
        struct operand *operand = &pass->operands[i];
        if (operand->role != ONEDNN_INPUT && operand->reorder != NULL &&
            !execute_reorder(pass, operand, operand->own, operand->user, err))
            return false;
    }
    return onednn_check(dnnl_stream_wait(pass->device.stream), "to finish", err);
}
