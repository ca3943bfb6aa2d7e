#pragma once

/* Small TFLite models for tests, from descriptions in plain structs.
 *
 * The writer knows nothing of the importer: it has its own numbers of the schema, and lays a file
 * out front to back (a table, then what its fields lead to). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BUILD_BYTES = 1 << 16, BUILD_LIST = 8 };

/* TensorType */
enum {
    BUILD_F32 = 0,
    BUILD_F16 = 1,
    BUILD_I32 = 2,
    BUILD_U8 = 3,
    BUILD_I64 = 4,
    BUILD_I16 = 7,
    BUILD_I8 = 9,
    BUILD_I4 = 17,
};

struct build_tensor {
    const char *name;
    int type;
    int rank;
    int32_t dim[BUILD_LIST];
    const void *data; /* of a constant, or NULL */
    size_t data_bytes;
    int scale_count, zero_point_count;
    float scales[BUILD_LIST];
    int64_t zero_points[BUILD_LIST];
    int scale_axis;
    int32_t unknown_axis; /* above 0: an axis of unknown extent */
    bool variable, sparse, blockwise;
    uint32_t external_buffer;
    bool behind; /* data are behind the flatbuffer */
    int shares;  /* above 0: the tensor whose buffer this constant has too */
};

/* A field of an operator's options: an integer, a float, or a list of int32. */
struct build_field {
    int field;
    int bytes; /* 1, 4; 0: it is a float; −1: it is a list */
    int64_t integer;
    float real;
    int count;
    int32_t list[BUILD_LIST];
};

struct build_operator {
    int code;
    const char *custom;
    int input_count, output_count; /* output_count −1: none */
    int32_t inputs[BUILD_LIST];
    int32_t outputs[BUILD_LIST];
    int options_kind;
    int field_count;
    struct build_field fields[BUILD_LIST];
};

struct build_model {
    int version;                   /* 0: 3 */
    int subgraph_count;            /* 0: 1 */
    int input_count, output_count; /* 0: 1 */
    int32_t input, output;
    int tensor_count, operator_count;
    struct build_tensor tensors[2 * BUILD_LIST];
    struct build_operator operators[BUILD_LIST];
};

/* The file's bytes; the size is returned. */
size_t tflite_build(const struct build_model *model, uint8_t out[static BUILD_BYTES]);

/* The writer's parts, for files that no model describes. */
struct build {
    uint8_t *bytes;
    size_t size;
};

/* Begins a file with this identifier and a root table of `fields` fields, which is returned. */
size_t build_begin(struct build *build, uint8_t *bytes, const char *identifier, int fields);
/* A table of `fields` absent fields, and a field set to a value or to what comes next. */
size_t build_table(struct build *build, int fields);
void build_value(struct build *build, size_t table, int field, int bytes, uint64_t value);
size_t build_child_table(struct build *build, size_t table, int field, int fields);
/* Room for a list's elements, whose place is returned; they are zero. */
size_t build_list(struct build *build, size_t table, int field, uint32_t count, int element_bytes);
void build_put(struct build *build, size_t at, int bytes, uint64_t value);
/* Element `index` of a list of tables: a new table. */
size_t build_element_table(struct build *build, size_t list, int index, int fields);

/* A model step by step. A shape as "rank, extents": */
#define SHAPE_OF(...)                                                                              \
    (int)(sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t)), (const int32_t[])                   \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* Adds a tensor, and returns its index; an activation when there are no data. */
int build_add_tensor(struct build_model *model, int type, int rank, const int32_t *dim,
                     const void *data, size_t data_bytes);
int build_activation(struct build_model *model, int rank, const int32_t *dim);
int build_constant(struct build_model *model, int rank, const int32_t *dim, const float *values);
int build_integers(struct build_model *model, int32_t count, const int32_t *values);

enum { BUILD_NO_INPUT = -2 };
/* Adds an operator with up to three inputs. */
struct build_operator *build_add_operator(struct build_model *model, int code, int output, int a,
                                          int b, int c);

/* Adds a field to the options, which are of this kind. */
void build_set_integer(struct build_operator *entry, int kind, int field, int bytes, int value);
void build_set_real(struct build_operator *entry, int kind, int field, float value);
void build_set_list(struct build_operator *entry, int kind, int field, int count,
                    const int32_t *values);
