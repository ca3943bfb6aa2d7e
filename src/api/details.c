/* Details of runs as JSON. */

#include "ptqd/api/details.h"

#include "ptqd/json/json.h"

static const struct schema_member memory_tensor_members[] = {
    {"name", .type = SCHEMA_STRING},
    {"bytes", .type = SCHEMA_INTEGER},
    {0},
};
static const struct schema memory_tensor_schema = {
    .name = "MemoryTensor",
    .help = "A tensor in memory",
    .members = memory_tensor_members,
};
static const struct schema_member memory_step_members[] = {
    {"node", .type = SCHEMA_STRING},
    {"op", .type = SCHEMA_STRING},
    {"bytes", .type = SCHEMA_INTEGER, .help = "Of all tensors, packed"},
    {"float_bytes", .type = SCHEMA_INTEGER, .help = "Of all tensors, in float"},
    {"tensors", .type = SCHEMA_OBJECT, .of = &memory_tensor_schema, .list = true},
    {0},
};
static const struct schema memory_step_schema = {
    .name = "MemoryStep",
    .help = "The activations in memory while a node runs",
    .members = memory_step_members,
};
static const struct schema_member memory_members[] = {
    {"run", .type = SCHEMA_STRING},
    {"peak_bytes", .type = SCHEMA_INTEGER, .help = "Of the weights and the largest step"},
    {"weight_bytes", .type = SCHEMA_INTEGER},
    {"peak_node", .type = SCHEMA_STRING},
    {"steps", .type = SCHEMA_OBJECT, .of = &memory_step_schema, .list = true},
    {0},
};
const struct schema memory_schema = {
    .name = "RunMemory",
    .help = "Memory over the execution order",
    .members = memory_members,
};

static void add_step(struct json *list, const struct memory_step *step)
{
    struct json *object = json_add_object(list, NULL);
    json_add_string(object, "node", step->node);
    json_add_string(object, "op", step->op);
    json_add_integer(object, "bytes", step->bytes);
    json_add_integer(object, "float_bytes", step->float_bytes);
    struct json *tensors = json_add_array(object, "tensors");
    for (int i = 0; i < step->tensor_count; i++) {
        struct json *tensor = json_add_object(tensors, NULL);
        json_add_string(tensor, "name", step->tensors[i].name);
        json_add_integer(tensor, "bytes", step->tensors[i].bytes);
    }
}

static void add_memory(struct json *object, const struct run_result *result)
{
    json_add_integer(object, "peak_bytes", result->cost.peak_bytes);
    json_add_integer(object, "weight_bytes", result->cost.weight_bytes);
    json_add_string(object, "peak_node", result->cost.peak_layer);
    struct json *steps = json_add_array(object, "steps");
    for (int i = 0; i < result->memory.step_count; i++)
        add_step(steps, &result->memory.steps[i]);
}

static const struct {
    const char *name;
    void (*add)(struct json *object, const struct run_result *result);
} kinds[] = {
    {"memory", add_memory},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

bool details_print(const struct run_result *result, struct arena *arena,
                   struct run_detail **out_details, size_t *out_count, struct error *err)
{
    struct run_detail *details = ARENA_ARRAY(arena, struct run_detail, KINDS, err);
    if (details == NULL)
        return false;
    for (size_t i = 0; i < KINDS; i++) {
        struct json *object = json_object(arena);
        kinds[i].add(object, result);
        details[i] =
            (struct run_detail){kinds[i].name, json_print_string(object, arena, NULL, err)};
        if (details[i].value == NULL)
            return error_context(err, "the %s of a run", kinds[i].name);
    }
    *out_details = details;
    *out_count = KINDS;
    return true;
}
