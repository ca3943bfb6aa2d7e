/* The state of a trainee as fields of a keeper, named "train.<part>.<index>.<what>". */

#include "ptqd/recon/trainee.h"

struct field_list {
    struct arena *arena;
    struct keeper_field *fields;
    int count;
    struct error *err;
};

static bool add(struct field_list *list, const char *part, int index, const char *what,
                enum keeper_type type, int64_t count, void *values)
{
    const char *name = arena_printf(list->arena, list->err, "train.%s.%d.%s", part, index, what);
    list->fields[list->count++] = (struct keeper_field){name, type, count, values};
    return name != NULL;
}

enum { FIELDS_OF_VECTOR = 5, FIELDS_OF_LAYER = 3, FIELDS_OF_ACTIVATION = 1 };

static bool add_vector(struct field_list *list, int index, struct trained_vector *vector)
{
    int64_t moments = vector->rate > 0.0 ? vector->count : 0;
    return add(list, "vector", index, "values", KEEP_F32, vector->count, vector->values) &&
           add(list, "vector", index, "best", KEEP_F32, vector->count, vector->best) &&
           add(list, "vector", index, "first", KEEP_F32, moments, vector->adam.moments.first) &&
           add(list, "vector", index, "second", KEEP_F32, moments, vector->adam.moments.second) &&
           add(list, "vector", index, "step", KEEP_I64, 1, &vector->adam.step);
}

static bool add_layer(struct field_list *list, int index, struct trained_layer *trained)
{
    const struct quant_layer *layer = trained->layer;
    int64_t floors = trained->floors ? layer->K * layer->D : 0;
    return add(list, "layer", index, "start_scales", KEEP_F32, layer->quantizer.channels,
               trained->start_scales) &&
           add(list, "layer", index, "start_biases", KEEP_F32, layer->K, trained->start_biases) &&
           add(list, "layer", index, "floors", KEEP_F32, floors, trained->floors);
}

bool trainee_fields(const struct trainee *trainee, struct arena *arena, int more,
                    struct keeper_field **out_fields, int *out_count, struct error *err)
{
    int most = FIELDS_OF_VECTOR * trainee->vector_count + FIELDS_OF_LAYER * trainee->layer_count +
               FIELDS_OF_ACTIVATION * trainee->activation_count + more;
    struct field_list list = {
        .arena = arena,
        .fields = ARENA_ARRAY(arena, struct keeper_field, most, err),
        .err = err,
    };
    bool done = list.fields != NULL;
    for (int i = 0; done && i < trainee->vector_count; i++)
        done = add_vector(&list, i, &trainee->vectors[i]);
    for (int i = 0; done && i < trainee->layer_count; i++)
        done = add_layer(&list, i, &trainee->layers[i]);
    for (int i = 0; done && i < trainee->activation_count; i++)
        done = add(&list, "activation", i, "start_scale", KEEP_F32, 1,
                   &trainee->activations[i].start_scale);
    if (!done)
        return false;
    *out_fields = list.fields;
    *out_count = list.count;
    return true;
}
