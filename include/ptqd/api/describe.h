#pragma once

/* What is known of an uploaded file: found out once, at upload, and stored as JSON with its row.
 *
 *   model     {"input": {"name", "shape"}, "output": {"name", "shape"}, "macs", "parameters",
 *              "layers"}, where "layers" is the text of a list [{"name", "op", "input_shape",
 *              "output_shape", "kernel", "groups", "macs", "parameters"}]: long, and seldom read
 *   data set  {"shape", "dtype", "labels", "labels_only", "classes", "min", "max"}: the shape of a
 *              sample, [] of labels on their own; "labels" is whether there are some, "classes"
 *              null where there are none
 *
 * Shapes are in the order of the model file.
 */

#include "ptqd/json/json.h"
#include "ptqd/json/json_schema.h"
#include "ptqd/nn/dataset.h"
#include "ptqd/nn/graph.h"
#include "ptqd/store/dataset_row.h"

extern const struct schema model_end_schema, model_layer_schema;

/* Adds the members above for an imported model. */
bool describe_model(struct json *object, const struct graph *graph, struct arena *arena,
                    struct error *err);

/* Adds what GET /v1/models/{id}/graph tells of an imported model: "input", "nodes" in execution
 * order, each with what it reads, and "outputs". Transposes that only the layout inside asks for
 * are left out. */
extern const struct schema model_node_schema;
bool describe_graph(struct json *object, const struct graph *graph, struct arena *arena,
                    struct error *err);

/* Reads a data set, or labels on their own (an integer `.npy` with one axis, `*out_labels_only`
 * true: only samples, labels, classes, min and max are set then). Borrows `bytes`. */
bool describe_load(struct arena *arena, const uint8_t *bytes, size_t size,
                   const struct dataset_options *options, struct dataset **out_dataset,
                   bool *out_labels_only, struct error *err);
void describe_dataset(struct json *object, const struct dataset *dataset, bool labels_only);

/* The two ends of a described model: enough for dataset_check_input and dataset_check_labels. */
bool describe_read_model(const struct json *detail, struct arena *arena, struct graph **out_ends,
                         struct error *err);
/* The names of its layers, in execution order: nodes with products. */
bool describe_read_layers(const struct json *detail, struct arena *arena, const char ***out_names,
                          int *out_count, struct error *err);
/* Shape, number of classes, scale, zero point and whether it has labels; no values, but their
 * type. */
struct described_dataset {
    struct dataset dataset;
    const struct array_type *type; /* of the samples */
    bool labels, labels_only;
};
/* Points at nothing but tables. */
bool describe_read_dataset(const struct dataset_row *row, struct arena *arena,
                           struct described_dataset *out, struct error *err);
