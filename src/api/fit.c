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
    struct answer_cache *kept;
    struct answer_version version; /* of what models and data sets there are, and whose */
    struct database *database;
    const struct store_viewer *viewer;
    struct arena *arena;
    const struct json *model; /* {"input", "output", "names" of the layers} */
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

static const struct json_limits stored_limits = {.bytes = (size_t)64 << 20,
                                                 .depth = 8,
                                                 .values = 4 * 1000 * 1000};

/* The description of a model has a page for each layer; a model never changes, so what fitting
 * needs of it is kept. */
static const struct answer_version no_version = {.store = 0};

static const char *kept_key(const struct fit *fit, const char *id)
{
    return arena_printf(fit->arena, fit->err, "fit %s", id);
}

/* Of what a viewer sees of a model or data set, which counts as long as nobody uploads or deletes
 * any: a flood of jobs about the same files would read their rows anew after every commit. */
static const char *viewed_key(const struct fit *fit, const char *kind, const char *id)
{
    const struct store_viewer *viewer = fit->viewer;
    return arena_printf(fit->arena, fit->err, "fit %s %d %s %s", kind, viewer->own_only, id,
                        viewer->owner);
}

/* `*out_model` stays NULL when it is not kept. */
static bool find_kept(const struct fit *fit, const char *key, struct json **out_model)
{
    struct answer_text *kept = answer_cache_find(fit->kept, key, no_version, 0);
    *out_model = NULL;
    bool ok = kept == NULL ||
              json_parse(fit->arena, kept->text, kept->size, &stored_limits, out_model, fit->err);
    answer_cache_release(kept);
    return ok;
}

static bool condense(const struct fit *fit, const char *id, const char *key,
                     struct json **out_model)
{
    struct model_row row;
    struct json *detail;
    const char **names;
    int count;
    if (!model_row_find(fit->database, fit->viewer, id, fit->arena, &row, fit->err) ||
        !json_parse(fit->arena, row.detail, strlen(row.detail), &stored_limits, &detail,
                    fit->err) ||
        !describe_read_layers(detail, fit->arena, &names, &count, fit->err))
        return false;
    struct json *model = json_object(fit->arena);
    json_add_copy(model, "input", json_find(detail, "input"));
    json_add_copy(model, "output", json_find(detail, "output"));
    struct json *list = json_add_array(model, "names");
    for (int i = 0; i < count; i++)
        json_add_string(list, NULL, names[i]);
    size_t size;
    const char *text = json_print_string(model, fit->arena, &size, fit->err);
    if (text == NULL)
        return false;
    answer_cache_put(fit->kept, key, no_version, INT64_MAX,
                     &(struct answer_draft){text, size, "", 0});
    *out_model = model;
    return true;
}

/* True when so many bytes are kept, which it copies. */
static bool find_viewed(const struct fit *fit, const char *key, void *out, size_t size)
{
    struct answer_text *kept = answer_cache_find(fit->kept, key, fit->version, 0);
    bool found = kept != NULL && kept->size == size;
    if (found)
        memcpy(out, kept->text, size);
    answer_cache_release(kept);
    return found;
}

static void keep_viewed(const struct fit *fit, const char *key, const void *bytes, size_t size)
{
    answer_cache_put(fit->kept, key, fit->version, INT64_MAX,
                     &(struct answer_draft){bytes, size, "", 0});
}

static bool check_model(const struct fit *fit, const char *id)
{
    const char *key = viewed_key(fit, "model", id);
    bool seen;
    if (key == NULL)
        return false;
    if (find_viewed(fit, key, &seen, sizeof(seen)))
        return true; /* only those that are seen are kept */
    seen = model_row_check(fit->database, fit->viewer, id, fit->err);
    if (seen)
        keep_viewed(fit, key, &seen, sizeof(seen));
    return seen;
}

static bool read_model(struct fit *fit, const struct job_file *file)
{
    struct json *model;
    const char *key = kept_key(fit, file->id);
    if (key == NULL)
        return false;
    if (!check_model(fit, file->id))
        return fail_field(fit, "/model");
    if (!find_kept(fit, key, &model) || (model == NULL && !condense(fit, file->id, key, &model)))
        return false;
    fit->model = model;
    return describe_read_model(model, fit->arena, &fit->ends, fit->err);
}

/* Once for each kind of weights that variants have where rules do not speak. */
static bool check_variant_rules(const struct fit *fit, const struct job_spec *spec,
                                const char *const *names, int count)
{
    unsigned seen = 0;
    for (size_t i = 0; i < spec->variant_count; i++) {
        struct pipeline pipeline = {0};
        job_spec_variant(spec, i, &pipeline);
        unsigned kind = 1U << (pipeline.weights.scheme * 2 + pipeline.weights.narrow);
        if (seen & kind)
            continue;
        seen |= kind;
        if (!layer_formats_check(&pipeline, names, count, fit->err))
            return error_pointer_prefix(fit->err, "/pipeline");
    }
    return true;
}

/* Every layer rule is about a layer of the model, and makes of it what can be. */
static bool check_rules(const struct fit *fit, const struct job_spec *spec)
{
    const struct json *list = json_find(fit->model, "names");
    int count = 0;
    if (spec->rule_count == 0)
        return true;
    const char **names = ARENA_ARRAY(fit->arena, const char *, json_count(list), fit->err);
    if (names == NULL)
        return false;
    for (const struct json *v = json_first(list); v != NULL; v = json_next(v)) {
        if (!json_as_string(v, &names[count++], fit->err))
            return false;
    }
    return check_variant_rules(fit, spec, names, count);
}

static bool read_dataset_row(const struct fit *fit, const char *id, const char *pointer,
                             struct described_dataset *out)
{
    struct dataset_row row;
    if (!dataset_row_find(fit->database, fit->viewer, id, fit->arena, &row, fit->err))
        return fail_field(fit, pointer);
    return describe_read_dataset(&row, fit->arena, out, fit->err);
}

/* A description is kept as it is. */
static bool read_dataset(const struct fit *fit, const char *id, const char *pointer,
                         struct described_dataset *out)
{
    const char *key = viewed_key(fit, "dataset", id);
    if (key == NULL)
        return false;
    if (find_viewed(fit, key, out, sizeof(*out)))
        return true;
    if (!read_dataset_row(fit, id, pointer, out))
        return false;
    keep_viewed(fit, key, out, sizeof(*out));
    return true;
}

/* Takes number and classes of the labels on their own over to the samples. */
static bool join_labels(const struct fit *fit, const char *id, const char *pointer,
                        struct described_dataset *samples)
{
    struct described_dataset labels;
    if (!read_dataset(fit, id, pointer, &labels))
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

struct scaling {
    double scale, zero_point; /* those of the data set */
};

/* What is kept of files that fit each other. */
struct fitted {
    struct scaling calibration, evaluation;
};

static bool check_data(const struct fit *fit, const struct job_data *data,
                       const struct field *field, bool labels_needed, struct scaling *out_scaling)
{
    struct described_dataset described;
    if (!read_dataset(fit, data->samples.id, field->samples, &described))
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
    *out_scaling = (struct scaling){described.dataset.scale, described.dataset.zero_point};
    return true;
}

static bool check_files(struct fit *fit, const struct job_spec *spec, struct fitted *out_fitted)
{
    static const struct field calibration = {"/calibration", "/calibration/labels"};
    static const struct field evaluation = {"/evaluation", "/evaluation/labels"};
    *out_fitted = (struct fitted){.calibration = {.scale = 0}};
    return read_model(fit, &spec->model) && check_rules(fit, spec) &&
           check_data(fit, &spec->calibration, &calibration, false, &out_fitted->calibration) &&
           (!spec->has_evaluation ||
            check_data(fit, &spec->evaluation, &evaluation, true, &out_fitted->evaluation));
}

/* What the specification does not say. */
static void fill_in(struct job_data *data, const struct scaling *scaling)
{
    data->scale = data->has_scale ? data->scale : scaling->scale;
    data->zero_point = data->has_zero_point ? data->zero_point : scaling->zero_point;
    data->has_scale = data->has_zero_point = true;
}

static const char *or_none(const char *id)
{
    return id != NULL ? id : "-";
}

/* Without rules for layers the answer is the same for all specifications of the same files. */
static const char *fitted_key(const struct fit *fit, const struct job_spec *spec)
{
    return arena_printf(fit->arena, fit->err, "fit files %d %s %s %s %s %s %s",
                        fit->viewer->own_only, spec->model.id, spec->calibration.samples.id,
                        or_none(spec->calibration.labels.id), or_none(spec->evaluation.samples.id),
                        or_none(spec->evaluation.labels.id), fit->viewer->owner);
}

bool check_fit(struct api *api, struct database *database, const struct store_viewer *viewer,
               struct job_spec *spec, struct arena *arena, struct error *err)
{
    struct fit fit = {.kept = api->answers,
                      .version = answer_version_of_objects(api),
                      .database = database,
                      .viewer = viewer,
                      .arena = arena,
                      .err = err};
    struct fitted fitted;
    const char *key = fitted_key(&fit, spec);
    if (key == NULL)
        return false;
    if (spec->rule_count > 0 || !find_viewed(&fit, key, &fitted, sizeof(fitted))) {
        if (!check_files(&fit, spec, &fitted))
            return false;
        keep_viewed(&fit, key, &fitted, sizeof(fitted));
    }
    fill_in(&spec->calibration, &fitted.calibration);
    if (spec->has_evaluation)
        fill_in(&spec->evaluation, &fitted.evaluation);
    return true;
}
