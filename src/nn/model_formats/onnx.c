/* ONNX model files: protobuf messages of the schema in onnx.proto, ModelProto outermost.
 *
 * Hostile files are met in three steps. onnx_wire_check walks the bytes without recursion and
 * bounds nesting and the number of messages. Then protobuf-c unpacks into an arena of 4 times the
 * file and 64 MB; as nothing is given back before the end, the ceiling bounds its work as well
 * (merging of repeated messages copies). Then the messages are translated into the graph's arena,
 * whose ceiling is the caller's.
 */

#include "ptqd/nn/model.h"
#include "ptqd/nn/onnx_graph.h"
#include "ptqd/nn/onnx_node.h"
#include "ptqd/nn/onnx_versions.h"
#include "ptqd/nn/onnx_wire.h"

#include "ptqd/base/mem.h"

#include "onnx.pb-c.h"

#include <inttypes.h>

static const size_t unpacked_per_byte = 4;
static const size_t unpacked_extra_bytes = (size_t)64 << 20;

extern const struct model_format model_format_onnx;

struct unpacking {
    struct arena *arena;
    bool full;
};

static void *unpacking_alloc(void *data, size_t size)
{
    struct unpacking *unpacking = data;
    void *memory = arena_alloc(unpacking->arena, size, NULL);
    if (memory == NULL)
        unpacking->full = true;
    return memory;
}

static void unpacking_free(void *data, void *memory)
{
    (void)data;
    (void)memory;
}

/* Unpacks into `arena`, whose ceiling is `limit` bytes. */
static Onnx__ModelProto *unpack(struct arena *arena, size_t limit, const uint8_t *bytes,
                                size_t size, struct error *err)
{
    struct unpacking unpacking = {.arena = arena};
    ProtobufCAllocator allocator = {unpacking_alloc, unpacking_free, &unpacking};
    Onnx__ModelProto *model = onnx__model_proto__unpack(&allocator, size, bytes);
    if (model != NULL)
        return model;
    if (unpacking.full)
        FAIL(err, E_TOO_LARGE, "the model of %zu bytes needs more than %zu bytes unpacked", size,
             limit);
    else
        FAIL(err, E_SYNTAX, "a field of the model has another type than onnx.proto gives it");
    return NULL;
}

static bool find_opset(const Onnx__ModelProto *model, int64_t *out_opset, struct error *err)
{
    for (size_t i = 0; i < model->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *set = model->opset_import[i];
        if (!onnx_domain_is_default(set->domain))
            continue;
        if (set->version < ONNX_OPSET_MIN || set->version > ONNX_OPSET_MAX)
            return FAIL(err, E_UNSUPPORTED,
                        "the model uses operator set %" PRId64 "; %d to %d are supported",
                        set->version, ONNX_OPSET_MIN, ONNX_OPSET_MAX);
        *out_opset = set->version;
        return true;
    }
    return FAIL(err, E_INVALID, "the model names no operator set of ONNX (opset_import)");
}

static bool translate(const Onnx__ModelProto *model, struct arena *scratch, struct graph *graph,
                      struct error *err)
{
    if (model->ir_version < ONNX_IR_MIN || model->ir_version > ONNX_IR_MAX)
        return FAIL(err, E_UNSUPPORTED,
                    "the model is of IR version %" PRId64 "; %d to %d are supported",
                    model->ir_version, ONNX_IR_MIN, ONNX_IR_MAX);
    if (!find_opset(model, &graph->opset, err))
        return false;
    if (model->graph == NULL)
        return FAIL(err, E_INVALID, "the model has no graph");
    return onnx_graph_import(model->graph, scratch, graph, err);
}

static bool import(const uint8_t *bytes, size_t size, struct graph *graph, struct error *err)
{
    size_t limit;
    if (!onnx_wire_check(&onnx__model_proto__descriptor, bytes, size, err))
        return false;
    if (!mem_mul(size, unpacked_per_byte, &limit) || !mem_add(limit, unpacked_extra_bytes, &limit))
        return FAIL(err, E_TOO_LARGE, "the model has %zu bytes", size);
    struct arena *scratch = arena_create(limit);
    if (scratch == NULL)
        return FAIL(err, E_MEMORY, "no memory for a model of %zu bytes", size);
    const Onnx__ModelProto *model = unpack(scratch, limit, bytes, size, err);
    bool ok = model != NULL && translate(model, scratch, graph, err);
    arena_destroy(scratch);
    return ok;
}

const struct model_format model_format_onnx = {
    .name = "onnx",
    .recognize = onnx_wire_recognize,
    .import = import,
};
