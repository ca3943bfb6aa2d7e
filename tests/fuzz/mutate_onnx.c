/* Changes an ONNX model the way a careless exporter would: bytes that are cut and swapped at random
 * seldom are messages any more, and then nothing behind the wire format is reached. Half of the
 * inputs are changed here, as messages; the others byte by byte, as libFuzzer does by itself.
 *
 * One change: a number becomes another one, a name another name of the model, an item of a list is
 * doubled, removed or exchanged.
 */

#include "ptqd/base/arena.h"
#include "ptqd/base/rng.h"
#include "ptqd/nn/onnx_wire.h"

#include "onnx.pb-c.h"

#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t max_size, unsigned seed);

enum { PLACES_MAX = 4096 };

/* A field that is set in a message; item `index` of a repeated one. */
struct place {
    ProtobufCMessage *message;
    const ProtobufCFieldDescriptor *field;
    size_t index;
};

struct mutation {
    struct arena *arena;
    struct rng rng;
    struct place places[PLACES_MAX];
    size_t count;
};

static void *member(const struct place *place)
{
    return (char *)place->message + place->field->offset;
}

static size_t *list_count(const struct place *place)
{
    return (size_t *)(void *)((char *)place->message + place->field->quantifier_offset);
}

static size_t item_bytes(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    default:
        return 4;
    }
}

/* Where the value itself is: in the message, or in the list that it points to. */
static void *value_of(const struct place *place)
{
    if (place->field->label != PROTOBUF_C_LABEL_REPEATED)
        return member(place);
    char *list;
    memcpy(&list, member(place), sizeof(list));
    return list + place->index * item_bytes(place->field->type);
}

/* How many values of a field are set. */
static size_t set_values(const struct place *place)
{
    if (place->field->label == PROTOBUF_C_LABEL_REPEATED)
        return *list_count(place);
    if ((place->field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
        return *(uint32_t *)(void *)list_count(place) == place->field->id;
    if (place->field->type == PROTOBUF_C_TYPE_STRING ||
        place->field->type == PROTOBUF_C_TYPE_MESSAGE) {
        void *pointer;
        memcpy(&pointer, member(place), sizeof(pointer));
        return pointer != NULL;
    }
    return *(protobuf_c_boolean *)(void *)list_count(place) != 0;
}

/* Lists every value below `message`. Recursion is bounded by onnx_wire_check. */
static void find_places(struct mutation *mutation, ProtobufCMessage *message)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        struct place place = {message, &message->descriptor->fields[i], 0};
        size_t values = set_values(&place);
        for (; place.index < values && mutation->count < PLACES_MAX; place.index++) {
            mutation->places[mutation->count++] = place;
            ProtobufCMessage *inner;
            if (place.field->type != PROTOBUF_C_TYPE_MESSAGE)
                continue;
            memcpy(&inner, value_of(&place), sizeof(inner));
            find_places(mutation, inner);
        }
    }
}

static int64_t some_integer(struct mutation *mutation)
{
    static const int64_t edges[] = {
        0,         -1,       -2, 1 << 16, 1 << 20, INT32_MAX, INT64_C(1) << 31, INT64_C(1) << 40,
        INT64_MAX, INT64_MIN};
    enum { EDGES = sizeof(edges) / sizeof(edges[0]), SMALL = 22 };
    uint64_t choice = rng_below(&mutation->rng, EDGES + SMALL);
    return choice < EDGES ? edges[choice] : (int64_t)(choice - EDGES);
}

static void change_number(struct mutation *mutation, const struct place *place)
{
    int64_t integer = some_integer(mutation);
    int32_t narrow = (int32_t)integer;
    float real = (float)integer * 0.25f;
    double wide = (double)real;
    switch (place->field->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
        memcpy(value_of(place), &integer, sizeof(integer));
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        memcpy(value_of(place), &real, sizeof(real));
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        memcpy(value_of(place), &wide, sizeof(wide));
        break;
    default:
        memcpy(value_of(place), &narrow, sizeof(narrow));
    }
}

/* Another text of the model, most of them names of tensors, nodes, operators and attributes. */
static void change_text(struct mutation *mutation, const struct place *place)
{
    for (int tries = 0; tries < 64; tries++) {
        const struct place *other = &mutation->places[rng_below(&mutation->rng, mutation->count)];
        if (other->field->type != PROTOBUF_C_TYPE_STRING)
            continue;
        memcpy(value_of(place), value_of(other), sizeof(char *));
        return;
    }
}

/* Doubles, removes or exchanges an item of a list. */
static void change_list(struct mutation *mutation, const struct place *place)
{
    size_t bytes = item_bytes(place->field->type), count = *list_count(place);
    char *list;
    memcpy(&list, member(place), sizeof(list));
    char *copy = arena_array(mutation->arena, count + 1, bytes, NULL);
    if (copy == NULL)
        return;
    memcpy(copy, list, count * bytes);
    memcpy(member(place), &copy, sizeof(copy));
    size_t other = (size_t)rng_below(&mutation->rng, count);
    char *here = copy + place->index * bytes;
    switch (rng_below(&mutation->rng, 3)) {
    case 0:
        memcpy(copy + count * bytes, here, bytes);
        *list_count(place) = count + 1;
        break;
    case 1:
        memmove(here, here + bytes, (count - place->index - 1) * bytes);
        *list_count(place) = count - 1;
        break;
    default:
        memcpy(here, list + other * bytes, bytes);
        memcpy(copy + other * bytes, list + place->index * bytes, bytes);
    }
}

static void change(struct mutation *mutation, const struct place *place)
{
    bool repeated = place->field->label == PROTOBUF_C_LABEL_REPEATED;
    bool single = place->field->type != PROTOBUF_C_TYPE_MESSAGE &&
                  place->field->type != PROTOBUF_C_TYPE_BYTES;
    if (repeated && (!single || rng_below(&mutation->rng, 3) == 0))
        change_list(mutation, place);
    else if (place->field->type == PROTOBUF_C_TYPE_STRING)
        change_text(mutation, place);
    else if (single)
        change_number(mutation, place);
}

static void *arena_of_protobuf(void *arena, size_t size)
{
    return arena_alloc(arena, size, NULL);
}

static void free_of_protobuf(void *arena, void *memory)
{
    (void)arena;
    (void)memory;
}

/* One to four changes; 0 when the result is too large. */
static size_t mutate(struct mutation *mutation, uint8_t *bytes, size_t size, size_t max_size)
{
    ProtobufCAllocator allocator = {arena_of_protobuf, free_of_protobuf, mutation->arena};
    if (!onnx_wire_check(&onnx__model_proto__descriptor, bytes, size, NULL))
        return 0;
    Onnx__ModelProto *model = onnx__model_proto__unpack(&allocator, size, bytes);
    if (model == NULL)
        return 0;
    for (uint64_t left = 1 + rng_below(&mutation->rng, 4); left > 0; left--) {
        mutation->count = 0;
        find_places(mutation, &model->base);
        if (mutation->count > 0)
            change(mutation, &mutation->places[rng_below(&mutation->rng, mutation->count)]);
    }
    size_t packed = onnx__model_proto__get_packed_size(model);
    if (packed > max_size)
        return 0;
    return onnx__model_proto__pack(model, bytes);
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t max_size, unsigned seed)
{
    static struct mutation mutation;
    rng_init(&mutation.rng, seed, 0);
    size_t changed = 0;
    if (rng_below(&mutation.rng, 2) == 0) {
        mutation.arena = arena_create((size_t)64 << 20);
        if (mutation.arena != NULL)
            changed = mutate(&mutation, bytes, size, max_size);
        arena_destroy(mutation.arena);
    }
    return changed > 0 ? changed : LLVMFuzzerMutate(bytes, size, max_size);
}
