/* Details of runs as JSON. */

#include "ptqd/api/details.h"

#include "ptqd/json/json.h"

#include <stdio.h>
#include <stdlib.h>

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

/* Six digits are more than the eye sees of a curve, and a third of the bytes. */
static double rounded(double value)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%.6g", value); /* fits */
    return strtod(text, NULL);
}

static const struct schema_member loss_point_members[] = {
    {"iteration", .type = SCHEMA_INTEGER},
    {"loss", .type = SCHEMA_NUMBER},
    {0},
};
static const struct schema loss_point_schema = {
    .name = "LossPoint",
    .help = "The loss after so many iterations",
    .members = loss_point_members,
};
static const struct schema_member loss_unit_members[] = {
    {"name", .type = SCHEMA_STRING},
    {"variable", .type = SCHEMA_STRING, .help = "What was optimized"},
    {"solver", .type = SCHEMA_STRING, .help = "How, which says what the loss is"},
    {"points", .type = SCHEMA_OBJECT, .of = &loss_point_schema, .list = true},
    {0},
};
static const struct schema loss_unit_schema = {
    .name = "LossUnit",
    .help = "The losses of a unit",
    .members = loss_unit_members,
};
static const struct schema_member losses_members[] = {
    {"run", .type = SCHEMA_STRING},
    {"units", .type = SCHEMA_OBJECT, .of = &loss_unit_schema, .list = true},
    {0},
};
const struct schema losses_schema = {
    .name = "RunLosses",
    .help = "The loss of each unit over its iterations",
    .members = losses_members,
};

static void add_losses(struct json *object, const struct run_result *result)
{
    struct json *units = json_add_array(object, "units");
    for (int i = 0; i < result->loss_count; i++) {
        const struct run_loss *loss = &result->losses[i];
        struct json *unit = json_add_object(units, NULL);
        json_add_string(unit, "name", loss->name);
        json_add_string(unit, "variable", loss->variable);
        json_add_string(unit, "solver", loss->solver);
        struct json *points = json_add_array(unit, "points");
        for (int j = 0; j < loss->count; j++) {
            struct json *point = json_add_object(points, NULL);
            json_add_integer(point, "iteration", loss->iterations[j]);
            json_add_number(point, "loss", rounded((double)loss->values[j]));
        }
    }
}

static const struct {
    const char *name;
    void (*add)(struct json *object, const struct run_result *result);
} kinds[] = {
    {"memory", add_memory},
    {"losses", add_losses},
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
