#include "ptqd/jobs/spec.h"

#include "spec_rules.h"

#include "ptqd/base/digest.h"
#include "ptqd/base/text.h"
#include "ptqd/flow/pipeline.h"
#include "ptqd/json/json.h"
#include "ptqd/json/params.h"

#include <inttypes.h>
#include <string.h>

enum { LABEL_KEY_MAX = 63, LABEL_VALUE_MAX = 200 }; /* bytes */

/* Largest whole number that every JSON reader keeps: 2^53 − 1. */
static const int64_t seed_max = (INT64_C(1) << 53) - 1;

/* A scale outside this range is a slip of the pen, and 0 would erase the data. */
static const double scale_min = 1e-30, scale_max = 1e30;

struct reader {
    const struct job_spec_options *options;
    struct arena *arena;
    struct error *err;
};

/* ---- texts ---- */

static bool read_text(const struct reader *reader, const struct json *value, size_t limit,
                      const char **out_text)
{
    const char *text;
    if (!json_as_string(value, &text, reader->err))
        return false;
    if (strlen(text) > limit) {
        FAIL(reader->err, E_INVALID, "\"%s\" has %zu bytes; at most %zu are allowed",
             json_key(value), strlen(text), limit);
        return json_error_at(value, reader->err);
    }
    char *copy = arena_strdup(reader->arena, text, reader->err);
    if (copy == NULL)
        return false;
    *out_text = copy;
    return true;
}

static bool read_name(const struct reader *reader, const struct json *value, struct job_spec *spec)
{
    spec->name = "";
    return value == NULL || read_text(reader, value, JOB_NAME_MAX, &spec->name);
}

static bool is_label_key(const char *key)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-/";
    size_t length = strlen(key);
    return length > 0 && length <= LABEL_KEY_MAX && strspn(key, allowed) == length;
}

static bool read_label(const struct reader *reader, const struct json *value,
                       struct job_label *label)
{
    const char *key = json_key(value);
    if (!is_label_key(key)) {
        FAIL(reader->err, E_INVALID,
             "\"%s\" is not the key of a label: 1 to %d letters, digits and any of ._-/", key,
             (int)LABEL_KEY_MAX);
        return json_error_at(value, reader->err);
    }
    label->key = arena_strdup(reader->arena, key, reader->err);
    return label->key != NULL && read_text(reader, value, LABEL_VALUE_MAX, &label->value);
}

static bool read_labels(const struct reader *reader, const struct json *object,
                        struct job_spec *spec)
{
    if (object == NULL)
        return true;
    if (!json_expect(object, JSON_OBJECT, reader->err))
        return false;
    size_t count = json_count(object);
    if (count > JOB_LABELS_MAX) {
        FAIL(reader->err, E_INVALID, "%zu labels; a job may have %d", count, (int)JOB_LABELS_MAX);
        return json_error_at(object, reader->err);
    }
    spec->labels = ARENA_ARRAY(reader->arena, struct job_label, count, reader->err);
    if (spec->labels == NULL)
        return false;
    for (const struct json *v = json_first(object); v != NULL; v = json_next(v)) {
        if (!read_label(reader, v, &spec->labels[spec->label_count++]))
            return false;
    }
    return true;
}

/* ---- files ---- */

static bool read_id(const struct reader *reader, const struct json *value, const char **out_id)
{
    const char *id;
    char hex[DIGEST_HEX_BYTES];
    if (!json_as_string(value, &id, reader->err))
        return false;
    if (!digest_parse_id(id, hex, NULL)) {
        FAIL(reader->err, E_INVALID,
             "\"%s\" is not an id: sha256: and 64 hexadecimal digits, as the upload of a file "
             "answers",
             id);
        return json_error_at(value, reader->err);
    }
    *out_id = arena_printf(reader->arena, reader->err, "sha256:%s", hex);
    return *out_id != NULL;
}

static bool read_path(const struct reader *reader, const struct json *value, const char **out_path)
{
    enum { PATH_BYTES = 4095 }; /* PATH_MAX without the NUL */
    if (!read_text(reader, value, PATH_BYTES, out_path))
        return false;
    if ((*out_path)[0] != '\0')
        return true;
    FAIL(reader->err, E_INVALID, "the path is empty");
    return json_error_at(value, reader->err);
}

/* A string: an id, or a path where that is allowed. */
static bool read_plain_file(const struct reader *reader, const struct json *value,
                            struct job_file *file)
{
    const char *text;
    if (!json_as_string(value, &text, reader->err))
        return false;
    if (reader->options->allow_paths && !text_has_prefix(text, "sha256:"))
        return read_path(reader, value, &file->path);
    return read_id(reader, value, &file->id);
}

/* The members "id" and "path" of an object; its keys were checked. */
static bool read_file_members(const struct reader *reader, const struct json *object,
                              struct job_file *file)
{
    const struct json *id = json_find(object, "id"), *path = json_find(object, "path");
    if (id != NULL && path != NULL) {
        FAIL(reader->err, E_INVALID, "both \"id\" and \"path\" are given; one of them is meant");
        return json_error_at(path, reader->err);
    }
    if (path != NULL)
        return read_path(reader, path, &file->path);
    return json_member(object, "id", &id, reader->err) && read_id(reader, id, &file->id);
}

/* The short form of what may be an object as well. */
static bool expect_file(const struct reader *reader, const struct json *value)
{
    if (json_type(value) == JSON_STRING)
        return true;
    FAIL(reader->err, E_INVALID, "\"%s\" is %s; a string or an object is expected", json_key(value),
         json_type_name(value));
    return json_error_at(value, reader->err);
}

static bool read_model(const struct reader *reader, const struct json *value, struct job_file *file)
{
    static const char *const with_path[] = {"id", "path", NULL};
    static const char *const without[] = {"id", NULL};
    if (json_type(value) != JSON_OBJECT)
        return expect_file(reader, value) && read_plain_file(reader, value, file);
    return json_check_keys(value, reader->options->allow_paths ? with_path : without,
                           reader->err) &&
           read_file_members(reader, value, file);
}

static bool read_data_members(const struct reader *reader, const struct json *object,
                              struct job_data *data)
{
    const struct json *labels = json_find(object, "labels");
    const struct json *scale = json_find(object, "scale");
    const struct json *zero_point = json_find(object, "zero_point");
    data->has_scale = scale != NULL;
    data->has_zero_point = zero_point != NULL;
    return (labels == NULL || read_plain_file(reader, labels, &data->labels)) &&
           (scale == NULL ||
            json_as_number(scale, scale_min, scale_max, &data->scale, reader->err)) &&
           (zero_point == NULL ||
            json_as_number(zero_point, -scale_max, scale_max, &data->zero_point, reader->err));
}

static bool read_data(const struct reader *reader, const struct json *value, struct job_data *data)
{
    static const char *const with_path[] = {"id", "path", "labels", "scale", "zero_point", NULL};
    static const char *const without[] = {"id", "labels", "scale", "zero_point", NULL};
    *data = (struct job_data){.scale = 1};
    if (json_type(value) != JSON_OBJECT)
        return expect_file(reader, value) && read_plain_file(reader, value, &data->samples);
    return json_check_keys(value, reader->options->allow_paths ? with_path : without,
                           reader->err) &&
           read_file_members(reader, value, &data->samples) &&
           read_data_members(reader, value, data);
}

static bool read_files(const struct reader *reader, const struct json *object,
                       struct job_spec *spec)
{
    const struct json *model, *calibration, *evaluation = json_find(object, "evaluation");
    if (!json_member(object, "model", &model, reader->err) ||
        !read_model(reader, model, &spec->model) ||
        !json_member(object, "calibration", &calibration, reader->err) ||
        !read_data(reader, calibration, &spec->calibration))
        return false;
    spec->has_evaluation = evaluation != NULL;
    return evaluation == NULL || read_data(reader, evaluation, &spec->evaluation);
}

/* ---- seeds ---- */

static bool seed_is_repeated(const struct job_spec *spec)
{
    int64_t last = spec->seeds[spec->seed_count - 1];
    for (size_t i = 0; i + 1 < spec->seed_count; i++) {
        if (spec->seeds[i] == last)
            return true;
    }
    return false;
}

static bool read_seed_list(const struct reader *reader, const struct json *list,
                           struct job_spec *spec)
{
    size_t count = json_count(list);
    if (count < 1 || count > JOB_SEEDS_MAX) {
        FAIL(reader->err, E_INVALID, "%zu seeds; 1 to %d are allowed", count, (int)JOB_SEEDS_MAX);
        return json_error_at(list, reader->err);
    }
    spec->seeds = ARENA_ARRAY(reader->arena, int64_t, count, reader->err);
    if (spec->seeds == NULL)
        return false;
    for (const struct json *v = json_first(list); v != NULL; v = json_next(v)) {
        int64_t *seed = &spec->seeds[spec->seed_count++];
        if (!json_as_integer(v, 0, seed_max, seed, reader->err))
            return false;
        if (seed_is_repeated(spec)) {
            FAIL(reader->err, E_INVALID, "seed %" PRId64 " is given twice", *seed);
            return json_error_at(v, reader->err);
        }
    }
    return true;
}

/* A list, or a number n for 0 to n − 1; one seed, 0, when nothing is given. */
static bool read_seeds(const struct reader *reader, const struct json *value, struct job_spec *spec)
{
    if (json_type(value) == JSON_ARRAY)
        return read_seed_list(reader, value, spec);
    int64_t count = 1;
    if (value != NULL && !json_as_integer(value, 1, JOB_SEEDS_MAX, &count, reader->err))
        return false;
    spec->seeds = ARENA_ARRAY(reader->arena, int64_t, count, reader->err);
    if (spec->seeds == NULL)
        return false;
    spec->seed_count = (size_t)count;
    for (int64_t i = 0; i < count; i++)
        spec->seeds[i] = i;
    return true;
}

/* ---- pipeline ---- */

static bool check_variants(const struct reader *reader, const struct job_spec *spec)
{
    for (size_t i = 0; i < spec->variant_count; i++) {
        struct pipeline pipeline = {0};
        job_spec_variant(spec, i, &pipeline);
        if (!pipeline_check(&pipeline, reader->err))
            return error_pointer_prefix(reader->err, "/pipeline");
    }
    return true;
}

static bool read_pipeline(const struct reader *reader, const struct json *object,
                          struct job_spec *spec)
{
    static const char *const others[] = {"layers", NULL};
    if (!json_params_parse(reader->arena, object, pipeline_table(), others, &spec->pipeline,
                           reader->err) ||
        !spec_rules_parse(reader->arena, json_find(object, "layers"), &spec->rules,
                          &spec->rule_count, reader->err))
        return false;
    if (!param_sweep_count(&spec->pipeline, JOB_VARIANTS_MAX, &spec->variant_count, reader->err))
        return error_at(reader->err, "/pipeline");
    if (spec->variant_count * spec->seed_count > JOB_RUNS_MAX)
        return FAIL(reader->err, E_TOO_LARGE,
                    "%zu variants with %zu seeds each make more than %d runs", spec->variant_count,
                    spec->seed_count, (int)JOB_RUNS_MAX);
    return check_variants(reader, spec);
}

static bool read_priority(const struct reader *reader, const struct json *value, int64_t *priority)
{
    return value == NULL ||
           json_as_integer(value, -JOB_PRIORITY_MAX, JOB_PRIORITY_MAX, priority, reader->err);
}

bool job_patch_parse(const struct json *object, struct arena *arena, struct job_patch *out_patch,
                     struct error *err)
{
    static const char *const known[] = {"name", "labels", "priority", NULL};
    const struct reader reader = {.arena = arena, .err = err};
    struct job_spec spec = {.name = ""};
    if (!json_expect(object, JSON_OBJECT, err) || !json_check_keys(object, known, err))
        return false;
    const struct json *name = json_find(object, "name"), *labels = json_find(object, "labels");
    const struct json *priority = json_find(object, "priority");
    if (name == NULL && labels == NULL && priority == NULL)
        return FAIL(err, E_INVALID,
                    "nothing is to be changed; name, labels and priority of a job can be");
    if (!read_name(&reader, name, &spec) || !read_labels(&reader, labels, &spec) ||
        !read_priority(&reader, priority, &spec.priority))
        return false;
    *out_patch = (struct job_patch){.name = name != NULL ? spec.name : NULL,
                                    .has_priority = priority != NULL,
                                    .priority = spec.priority,
                                    .has_labels = labels != NULL,
                                    .labels = spec.labels,
                                    .label_count = spec.label_count,
                                    .revision = -1};
    return true;
}

bool job_spec_parse(const struct json *object, const struct job_spec_options *options,
                    struct arena *arena, struct job_spec *out_spec, struct error *err)
{
    static const char *const known[] = {"name",        "labels",     "priority", "model",
                                        "calibration", "evaluation", "seeds",    "memory_limit",
                                        "pipeline",    NULL};
    struct reader reader = {.options = options, .arena = arena, .err = err};
    struct job_spec spec = {.name = ""};
    const struct json *memory = json_find(object, "memory_limit");
    if (!json_expect(object, JSON_OBJECT, err) || !json_check_keys(object, known, err) ||
        !read_name(&reader, json_find(object, "name"), &spec) ||
        !read_labels(&reader, json_find(object, "labels"), &spec) ||
        !read_priority(&reader, json_find(object, "priority"), &spec.priority) ||
        (memory != NULL && !json_as_integer(memory, JOB_MEMORY_MIN_MIB, JOB_MEMORY_MAX_MIB,
                                            &spec.memory_limit_mib, err)) ||
        !read_files(&reader, object, &spec) ||
        !read_seeds(&reader, json_find(object, "seeds"), &spec) ||
        !read_pipeline(&reader, json_find(object, "pipeline"), &spec))
        return false;
    *out_spec = spec;
    return true;
}

bool job_spec_parse_text(const char *bytes, size_t size, const struct job_spec_options *options,
                         struct arena *arena, struct job_spec *out_spec, struct error *err)
{
    struct json *root;
    return json_parse(arena, bytes, size, NULL, &root, err) &&
           job_spec_parse(root, options, arena, out_spec, err);
}

void job_spec_variant(const struct job_spec *spec, size_t variant, struct pipeline *out_pipeline)
{
    param_sweep_store(&spec->pipeline, variant, out_pipeline);
    out_pipeline->rules = spec->rules;
    out_pipeline->rule_count = spec->rule_count;
}
