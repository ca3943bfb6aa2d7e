/* Specifications as JSON and as what the store takes. */

#include "ptqd/jobs/spec.h"

#include "spec_rules.h"

#include "ptqd/flow/pipeline.h"
#include "ptqd/json/json.h"
#include "ptqd/json/params.h"

static void add_file(struct json *parent, const char *key, const struct job_file *file)
{
    if (file->id != NULL) {
        json_add_string(parent, key, file->id);
    } else {
        struct json *object = json_add_object(parent, key);
        json_add_string(object, "path", file->path);
    }
}

static bool is_set(const struct job_file *file)
{
    return file->id != NULL || file->path != NULL;
}

static void add_data(struct json *parent, const char *key, const struct job_data *data)
{
    if (!is_set(&data->labels) && !data->has_scale && !data->has_zero_point) {
        add_file(parent, key, &data->samples);
        return;
    }
    struct json *object = json_add_object(parent, key);
    json_add_string(object, data->samples.id != NULL ? "id" : "path",
                    data->samples.id != NULL ? data->samples.id : data->samples.path);
    if (is_set(&data->labels))
        json_add_string(object, "labels",
                        data->labels.id != NULL ? data->labels.id : data->labels.path);
    if (data->has_scale)
        json_add_number(object, "scale", data->scale);
    if (data->has_zero_point)
        json_add_number(object, "zero_point", data->zero_point);
}

const char *job_spec_pipeline(const struct job_spec *spec, struct arena *arena)
{
    struct json *pipeline = json_object(arena);
    json_params_print(pipeline, &spec->pipeline);
    spec_rules_print(pipeline, spec->rules, spec->rule_count);
    return json_print_string(pipeline, arena, NULL, NULL);
}

struct json *job_spec_json(const struct job_spec *spec, const char *pipeline, struct arena *arena)
{
    if (pipeline == NULL)
        pipeline = job_spec_pipeline(spec, arena);
    if (pipeline == NULL)
        return NULL; /* who prints it says so */
    struct json *root = json_object(arena);
    json_add_string(root, "name", spec->name);
    struct json *labels = json_add_object(root, "labels");
    for (size_t i = 0; i < spec->label_count; i++)
        json_add_string(labels, spec->labels[i].key, spec->labels[i].value);
    json_add_integer(root, "priority", spec->priority);
    add_file(root, "model", &spec->model);
    add_data(root, "calibration", &spec->calibration);
    if (spec->has_evaluation)
        add_data(root, "evaluation", &spec->evaluation);
    struct json *seeds = json_add_array(root, "seeds");
    for (size_t i = 0; i < spec->seed_count; i++)
        json_add_integer(seeds, NULL, spec->seeds[i]);
    if (spec->memory_limit_mib != 0)
        json_add_integer(root, "memory_limit", spec->memory_limit_mib);
    json_add_raw(root, "pipeline", pipeline);
    return root;
}

static bool print(const struct json *document, struct arena *arena, const char **out_text,
                  struct error *err)
{
    char *text = json_print_string(document, arena, NULL, err);
    if (text == NULL)
        return false;
    *out_text = text;
    return true;
}

bool job_spec_print(const struct job_spec *spec, struct arena *arena, const char **out_text,
                    struct error *err)
{
    return print(job_spec_json(spec, NULL, arena), arena, out_text, err);
}

bool job_spec_choices(const struct job_spec *spec, size_t variant, bool all, struct arena *arena,
                      const char **out_text, struct error *err)
{
    struct pipeline pipeline = {0};
    if (!all && spec->variant_count == 1) { /* nothing is swept, as in most jobs */
        *out_text = "{}";
        return true;
    }
    job_spec_variant(spec, variant, &pipeline);
    struct json *root = json_object(arena);
    for (size_t i = 0; i < spec->pipeline.table->count; i++) {
        const struct param *row = &spec->pipeline.table->rows[i];
        struct param_value value = param_load(row, &pipeline);
        if (all || spec->pipeline.rows[i].count > 1)
            json_add_param(root, row->name, row, &value);
    }
    if (all)
        spec_rules_print(root, spec->rules, spec->rule_count);
    return print(root, arena, out_text, err);
}

static bool check_ids(const struct job_spec *spec, struct error *err)
{
    const struct {
        const struct job_file *file;
        const char *pointer;
    } files[] = {{&spec->model, "/model"},
                 {&spec->calibration.samples, "/calibration"},
                 {&spec->calibration.labels, "/calibration/labels"},
                 {&spec->evaluation.samples, "/evaluation"},
                 {&spec->evaluation.labels, "/evaluation/labels"}};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (files[i].file->path == NULL)
            continue;
        FAIL(err, E_INVALID, "'%s' is a path; a job that is submitted names uploaded files by id",
             files[i].file->path);
        return error_at(err, "%s", files[i].pointer);
    }
    return true;
}

bool job_spec_insert(const struct job_spec *spec, const struct json *document, struct arena *arena,
                     struct job_insert *out_insert, struct error *err)
{
    const char *text;
    const char **choices = ARENA_ARRAY(arena, const char *, spec->variant_count, err);
    if (choices == NULL || !check_ids(spec, err) || !print(document, arena, &text, err))
        return false;
    for (size_t i = 0; i < spec->variant_count; i++) {
        if (!job_spec_choices(spec, i, false, arena, &choices[i], err))
            return false;
    }
    *out_insert = (struct job_insert){
        .row =
            {
                .name = spec->name,
                .priority = spec->priority,
                .spec = text,
                .model = spec->model.id,
                .calibration = spec->calibration.samples.id,
                .calibration_labels = spec->calibration.labels.id,
                .evaluation = spec->evaluation.samples.id,
                .evaluation_labels = spec->evaluation.labels.id,
            },
        .labels = spec->labels,
        .label_count = spec->label_count,
        .choices = choices,
        .variant_count = spec->variant_count,
        .seeds = spec->seeds,
        .seed_count = spec->seed_count,
    };
    return true;
}
