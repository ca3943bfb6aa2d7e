/* Do model, data and layer rules of a job fit each other? Answered at submission, from what was
 * found out at upload, so that a job that can't run is refused with the numbers. */

#include "api_private.h"

#include "ptqd/api/describe.h"
#include "ptqd/flow/layer_formats.h"
#include "ptqd/jobs/spec.h"
#include "ptqd/store/dataset_row.h"
#include "ptqd/store/model_row.h"

#include <inttypes.h>
#include <string.h>

struct fit {
    struct database *database;
    const struct store_viewer *viewer;
    struct arena *arena;
    const struct json *model; /* its stored description */
    struct graph *ends;       /* input and output of the model */
    struct error *err;
};

/* A missing object that a field names is an error in that field, not of the URL. */
static bool fail_field(const struct fit *fit, const char *pointer)
{
    if (fit->err != NULL && fit->err->code == E_NOT_FOUND)
        fit->err->code = E_INVALID;
    return error_at(fit->err, "%s", pointer);
}

static bool read_model(struct fit *fit, const struct job_file *file)
{
    static const struct json_limits limits = {.bytes = (size_t)64 << 20,
                                              .depth = 8,
                                              .values = 4 * 1000 * 1000};
    struct model_row row;
    struct json *detail;
    if (!model_row_find(fit->database, fit->viewer, file->id, fit->arena, &row, fit->err))
        return fail_field(fit, "/model");
    if (!json_parse(fit->arena, row.detail, strlen(row.detail), &limits, &detail, fit->err))
        return false;
    fit->model = detail;
    return describe_read_model(detail, fit->arena, &fit->ends, fit->err);
}

/* Every layer rule is about a layer of the model. */
static bool check_rules(const struct fit *fit, const struct job_spec *spec)
{
    const struct pipeline pipeline = {.rules = spec->rules, .rule_count = spec->rule_count};
    const char **names;
    int count;
    if (spec->rule_count == 0)
        return true;
    return describe_read_layers(fit->model, fit->arena, &names, &count, fit->err) &&
           (layer_formats_check(&pipeline, names, count, fit->err) ||
            error_pointer_prefix(fit->err, "/pipeline"));
}

static bool read_dataset(const struct fit *fit, const char *id, const char *pointer,
                         struct dataset_row *out_row, struct described_dataset *out)
{
    struct json *detail;
    if (!dataset_row_find(fit->database, fit->viewer, id, fit->arena, out_row, fit->err))
        return fail_field(fit, pointer);
    if (!json_parse(fit->arena, out_row->detail, strlen(out_row->detail), NULL, &detail,
                    fit->err) ||
        !describe_read_dataset(detail, out, fit->err))
        return false;
    out->dataset.samples = out_row->samples;
    return true;
}

/* Takes number and classes of the labels on their own over to the samples. */
static bool join_labels(const struct fit *fit, const char *id, const char *pointer,
                        struct described_dataset *samples)
{
    struct dataset_row row;
    struct described_dataset labels;
    if (!read_dataset(fit, id, pointer, &row, &labels))
        return false;
    if (!labels.labels_only) {
        FAIL(fit->err, E_INVALID,
             "%s is a data set of samples; labels are an integer .npy file with one axis", id);
        return error_at(fit->err, "%s", pointer);
    }
    if (labels.dataset.samples != samples->dataset.samples) {
        FAIL(fit->err, E_INVALID, "%" PRId64 " labels for %" PRId64 " samples",
             labels.dataset.samples, samples->dataset.samples);
        return error_at(fit->err, "%s", pointer);
    }
    samples->labels = true;
    samples->dataset.classes = labels.dataset.classes;
    return true;
}

struct field {
    const char *samples, *labels; /* pointers */
};

static bool check_data(const struct fit *fit, struct job_data *data, const struct field *field,
                       bool labels_needed)
{
    struct dataset_row row;
    struct described_dataset described;
    if (!read_dataset(fit, data->samples.id, field->samples, &row, &described))
        return false;
    if (described.labels_only) {
        FAIL(fit->err, E_INVALID, "%s has labels only; samples are needed", data->samples.id);
        return error_at(fit->err, "%s", field->samples);
    }
    if (!dataset_check_input(&described.dataset, fit->ends, fit->err))
        return error_at(fit->err, "%s", field->samples);
    if (data->labels.id != NULL && !join_labels(fit, data->labels.id, field->labels, &described))
        return false;
    if (labels_needed && !described.labels) {
        FAIL(fit->err, E_INVALID,
             "%s has no labels: upload an .npz with x and y, or name an .npy of labels as "
             "\"labels\"",
             data->samples.id);
        return error_at(fit->err, "%s", field->samples);
    }
    if (described.labels && !dataset_check_labels(&described.dataset, fit->ends, fit->err))
        return error_at(fit->err, "%s", data->labels.id != NULL ? field->labels : field->samples);
    data->scale = data->has_scale ? data->scale : row.scale;
    data->zero_point = data->has_zero_point ? data->zero_point : row.zero_point;
    data->has_scale = data->has_zero_point = true;
    return true;
}

bool check_fit(struct database *database, const struct store_viewer *viewer, struct job_spec *spec,
               struct arena *arena, struct error *err)
{
    static const struct field calibration = {"/calibration", "/calibration/labels"};
    static const struct field evaluation = {"/evaluation", "/evaluation/labels"};
    struct fit fit = {.database = database, .viewer = viewer, .arena = arena, .err = err};
    return read_model(&fit, &spec->model) && check_rules(&fit, spec) &&
           check_data(&fit, &spec->calibration, &calibration, false) &&
           (!spec->has_evaluation || check_data(&fit, &spec->evaluation, &evaluation, true));
}
