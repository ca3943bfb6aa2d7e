/* POST /v1/jobs as multipart/form-data: everything of a job in one call.
 *
 * Parts are files ("model", "calibration", "evaluation", and labels on their own) and "spec", the
 * JSON specification, in which what came as a file may be left out. Files stream into blobs; when
 * all are there, each is looked at, the specification is checked with stand-ins for their ids, and
 * only then do they get their names and rows.
 */

#include "submit.h"
#include "upload.h"

#include "ptqd/base/text.h"
#include "ptqd/http/multipart.h"
#include "ptqd/jobs/spec.h"

#include <stdio.h>
#include <string.h>

struct part_kind {
    const char *name; /* of the form field */
    const struct upload_kind *upload;
    const char *member; /* of the specification */
    const char *labels; /* name within that member, or NULL: the member itself */
};

static const struct part_kind part_kinds[] = {
    {"model", &upload_model, "model", NULL},
    {"calibration", &upload_dataset, "calibration", NULL},
    {"evaluation", &upload_dataset, "evaluation", NULL},
    {"calibration_labels", &upload_dataset, "calibration", "labels"},
    {"evaluation_labels", &upload_dataset, "evaluation", "labels"},
};
enum { PART_KINDS = sizeof(part_kinds) / sizeof(part_kinds[0]) };

static const struct schema_member form_members[] = {
    {"model", .type = SCHEMA_FILE, .optional = true},
    {"calibration", .type = SCHEMA_FILE, .optional = true},
    {"evaluation", .type = SCHEMA_FILE, .optional = true},
    {"calibration_labels", .type = SCHEMA_FILE, .optional = true},
    {"evaluation_labels", .type = SCHEMA_FILE, .optional = true},
    {"spec", .type = SCHEMA_OBJECT, .of = &job_form_spec_schema, .optional = true},
    {0},
};
const struct schema job_form_schema = {
    .name = "JobForm",
    .help = "A job with its files",
    .members = form_members,
};

struct form {
    struct api *api;
    struct multipart *multipart;
    struct text spec;
    bool has_spec, in_spec;
    struct upload uploads[PART_KINDS]; /* of the parts that have begun */
    bool given[PART_KINDS];
    void *rows[PART_KINDS];
    struct upload *open; /* the part that comes now; NULL: the specification */
};

/* ---- parts as they come ---- */

static bool begin_file(struct form *form, size_t kind, struct error *err)
{
    if (form->given[kind])
        return FAIL(err, E_INVALID, "the part \"%s\" comes twice", part_kinds[kind].name);
    form->given[kind] = true;
    form->open = &form->uploads[kind];
    upload_init(form->open, form->api, part_kinds[kind].upload, NULL);
    return true;
}

static bool begin_part(void *context, const struct multipart_part *part, struct error *err)
{
    struct form *form = context;
    for (size_t kind = 0; kind < PART_KINDS; kind++) {
        if (strcmp(part_kinds[kind].name, part->name) == 0)
            return begin_file(form, kind, err);
    }
    if (strcmp(part->name, "spec") != 0)
        return FAIL(err, E_INVALID,
                    "\"%.60s\" is no part of this form; the parts are model, calibration, "
                    "evaluation, calibration_labels, evaluation_labels and spec",
                    part->name);
    if (form->has_spec)
        return FAIL(err, E_INVALID, "the part \"spec\" comes twice");
    form->has_spec = form->in_spec = true;
    return true;
}

static bool part_data(void *context, const void *bytes, size_t size, struct error *err)
{
    struct form *form = context;
    if (!form->in_spec)
        return upload_write(form->open, bytes, size, err);
    text_append(&form->spec, bytes, size);
    return text_check(&form->spec, err) || error_context(err, "spec");
}

static bool end_part(void *context, struct error *err)
{
    (void)err;
    struct form *form = context;
    form->open = NULL;
    form->in_spec = false;
    return true;
}

static bool feed(void *context, const void *bytes, size_t size, struct error *err)
{
    struct form *form = context;
    return multipart_feed(form->multipart, bytes, size, err);
}

static void destroy_form(void *state)
{
    struct form *form = state;
    for (size_t kind = 0; kind < PART_KINDS; kind++)
        upload_abandon(&form->uploads[kind]);
    text_finish(&form->spec);
}

bool form_begin(struct http_request *request, struct api *api, struct error *err)
{
    enum { SLACK_BYTES = 1 << 20 }; /* headers of the parts */
    const uint64_t extra_bytes = json_default_limits.bytes + SLACK_BYTES;
    struct form *form = ARENA_NEW(http_arena(request), struct form, err);
    if (form == NULL || !upload_fits(request, api, extra_bytes, err))
        return false;
    form->api = api;
    text_init(&form->spec, json_default_limits.bytes);
    const struct multipart_handler handler = {
        .begin = begin_part, .data = part_data, .end = end_part, .context = form};
    if (!multipart_open(http_arena(request), http_header(request, "Content-Type"), &handler,
                        &form->multipart, err))
        return false;
    const struct http_sink sink = {.write = feed, .context = form};
    http_set_sink(request, &sink,
                  api->options.model_bytes + 2 * api->options.dataset_bytes + extra_bytes);
    http_set_state(request, form, destroy_form);
    return true;
}

/* ---- the specification with the files in their places ---- */

static bool fail_both(const struct part_kind *kind, const struct json *member, struct error *err)
{
    FAIL(err, E_INVALID,
         "\"%s\" comes as a part of the form and in the specification; one of them "
         "is meant",
         kind->name);
    return json_error_at(member, err);
}

static bool fail_alone(const struct part_kind *labels, struct error *err)
{
    return FAIL(err, E_INVALID,
                "the part \"%s\" comes without samples: \"%s\" is no part of the form, and the "
                "specification does not name it",
                labels->name, labels->member);
}

/* The ids that stand for the member's samples and labels; "" where no file came. */
static const char *part_id(const struct form *form, const char *const *ids, const char *member,
                           const char *labels)
{
    for (size_t kind = 0; kind < PART_KINDS; kind++) {
        const struct part_kind *row = &part_kinds[kind];
        bool same = (row->labels == NULL) == (labels == NULL);
        if (form->given[kind] && same && strcmp(row->member, member) == 0)
            return ids[kind];
    }
    return NULL;
}

static const struct part_kind *kind_of(const char *member, const char *labels)
{
    size_t kind = 0;
    while (strcmp(part_kinds[kind].member, member) != 0 ||
           (part_kinds[kind].labels == NULL) != (labels == NULL))
        kind++;
    return &part_kinds[kind];
}

/* A data set: {"id", "labels"} from the files, and what the specification says beside. */
static bool merge_member(struct json *merged, const char *name, const struct json *given,
                         const char *id, const char *labels, struct error *err)
{
    if (id == NULL && labels == NULL) {
        if (given != NULL)
            json_add_copy(merged, name, given);
        return true;
    }
    if (given == NULL && labels == NULL) {
        json_add_string(merged, name, id);
        return true;
    }
    if (given == NULL && id == NULL)
        return fail_alone(kind_of(name, "labels"), err);
    bool is_object = json_type(given) == JSON_OBJECT;
    if (id != NULL && given != NULL && (!is_object || json_find(given, "id") != NULL))
        return fail_both(kind_of(name, NULL), given, err);
    if (labels != NULL && json_find(given, "labels") != NULL)
        return fail_both(kind_of(name, "labels"), json_find(given, "labels"), err);
    struct json *object = json_add_object(merged, name);
    if (id != NULL)
        json_add_string(object, "id", id);
    else if (!is_object)
        json_add_copy(object, "id", given);
    if (labels != NULL)
        json_add_string(object, "labels", labels);
    for (const struct json *v = json_first(given); v != NULL; v = json_next(v))
        json_add_copy(object, json_key(v), v);
    return true;
}

static bool merge(const struct form *form, const struct json *spec, const char *const *ids,
                  struct arena *arena, struct json **out_merged, struct error *err)
{
    static const char *const members[] = {"model", "calibration", "evaluation"};
    struct json *merged = json_object(arena);
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        if (!merge_member(merged, members[i], json_find(spec, members[i]),
                          part_id(form, ids, members[i], NULL),
                          part_id(form, ids, members[i], "labels"), err))
            return false;
    }
    for (const struct json *v = json_first(spec); v != NULL; v = json_next(v)) {
        bool placed = false;
        for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
            placed = placed || strcmp(json_key(v), members[i]) == 0;
        if (!placed)
            json_add_copy(merged, json_key(v), v);
    }
    /* Read back as if it had come like this, so that pointers are those of a specification. */
    size_t size;
    const char *text = json_print_string(merged, arena, &size, err);
    return text != NULL && json_parse(arena, text, size, NULL, out_merged, err);
}

/* ---- when everything is there ---- */

static bool parse_spec(struct form *form, struct arena *arena, struct json **out_spec,
                       struct error *err)
{
    const char *text = form->has_spec ? form->spec.bytes : "{}";
    size_t size = form->has_spec ? form->spec.length : 2;
    return (json_parse(arena, text, size, NULL, out_spec, err) &&
            json_expect(*out_spec, JSON_OBJECT, err)) ||
           error_context(err, "part \"spec\"");
}

/* Everything about the specification but its files. */
static bool check_spec(const struct form *form, const struct json *spec, struct arena *arena,
                       struct error *err)
{
    static const struct job_spec_options options = {.allow_paths = false};
    static const char stand_in[] =
        "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    const char *ids[PART_KINDS];
    for (size_t kind = 0; kind < PART_KINDS; kind++)
        ids[kind] = stand_in;
    struct json *merged;
    struct job_spec parsed;
    return merge(form, spec, ids, arena, &merged, err) &&
           job_spec_parse(merged, &options, arena, &parsed, err);
}

static bool inspect_files(struct form *form, struct arena *arena, struct error *err)
{
    struct upload_scale scale = {.scale = 1, .zero_point = 0};
    for (size_t kind = 0; kind < PART_KINDS; kind++) {
        if (form->given[kind] &&
            !upload_inspect(&form->uploads[kind], &scale, arena, &form->rows[kind], err)) {
            error_context(err, "part \"%s\"", part_kinds[kind].name);
            return error_at(err, "/%s", part_kinds[kind].member);
        }
    }
    return true;
}

static bool commit_files(struct form *form, const char *owner, const char **out_ids,
                         struct error *err)
{
    for (size_t kind = 0; kind < PART_KINDS; kind++) {
        bool known;
        if (!form->given[kind])
            continue;
        if (!upload_commit(&form->uploads[kind], form->rows[kind], "", owner, &known, err))
            return error_context(err, "part \"%s\"", part_kinds[kind].name);
        out_ids[kind] = form->uploads[kind].id;
    }
    return true;
}

static bool submit(struct http_request *request, struct api *api, const struct json *merged,
                   struct error *err)
{
    struct arena *arena = http_arena(request);
    struct job_request wanted = {.object = merged};
    struct jobs_change *change = ARENA_NEW(arena, struct jobs_change, err);
    struct prepared_job *prepared = ARENA_NEW(arena, struct prepared_job, err);
    /* The boundary of a form is random; the merged text stands for the request. */
    wanted.bytes = json_print_string(merged, arena, &wanted.size, err);
    if (change == NULL || prepared == NULL || wanted.bytes == NULL ||
        !prepare_job(request, api, &wanted, prepared, err))
        return false;
    if (prepared->replayed[0] != '\0')
        return reply_replayed(request, api, prepared->replayed, err);
    struct error failure = {0};
    jobs_submit(api->options.jobs, &prepared->insert, change);
    if (!jobs_wait(change, &failure))
        return submit_error(&failure, err);
    return reply_submitted(request, api, prepared, &change->inserted, err);
}

bool form_handle(struct http_request *request, void *context, struct error *err)
{
    struct form *form = http_state(request);
    struct arena *arena = http_arena(request);
    const char *ids[PART_KINDS] = {NULL};
    struct json *spec, *merged;
    return multipart_close(form->multipart, err) && parse_spec(form, arena, &spec, err) &&
           check_spec(form, spec, arena, err) && inspect_files(form, arena, err) &&
           commit_files(form, http_owner(request), ids, err) &&
           merge(form, spec, ids, arena, &merged, err) && submit(request, context, merged, err);
}
