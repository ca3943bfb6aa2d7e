/* Job specifications as they come with POST /v1/jobs and in the file of `ptqd run`. Laws: what is
 * accepted prints as text that reads back and prints the same, and has a pipeline and choices for
 * each variant; what is refused says why. */

#include "ptqd/flow/pipeline.h"
#include "ptqd/jobs/spec.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { ARENA_BYTES = 64 << 20, VARIANTS_LOOKED_AT = 16 };

static void check_variants(const struct job_spec *spec, struct arena *arena)
{
    struct error err = {.message = ""};
    for (size_t i = 0; i < spec->variant_count && i < VARIANTS_LOOKED_AT; i++) {
        struct pipeline pipeline = {0};
        const char *choices;
        job_spec_variant(spec, i, &pipeline);
        bool ok = pipeline_check(&pipeline, &err) &&
                  job_spec_choices(spec, i, true, arena, &choices, &err);
        assert(ok);
        (void)ok;
    }
}

static void check_accepted(const struct job_spec *spec, const struct job_spec_options *options,
                           struct arena *arena)
{
    struct error err = {.message = ""};
    struct job_spec again;
    const char *once = NULL, *twice = NULL;
    bool ok = job_spec_print(spec, arena, &once, &err);
    assert(ok);
    ok = job_spec_parse_text(once, strlen(once), options, arena, &again, &err) &&
         job_spec_print(&again, arena, &twice, &err);
    assert(ok && strcmp(once, twice) == 0);
    check_variants(spec, arena);

    struct job_insert insert;
    ok = job_spec_insert(spec, job_spec_json(spec, NULL, arena), arena, &insert, &err);
    assert(ok || (options->allow_paths && err.code == E_INVALID));
    (void)ok;
}

static void try_options(const uint8_t *bytes, size_t size, const struct job_spec_options *options)
{
    struct arena *arena = arena_create(ARENA_BYTES);
    struct error err = {.message = ""};
    struct job_spec spec;
    if (arena != NULL &&
        job_spec_parse_text((const char *)bytes, size, options, arena, &spec, &err))
        check_accepted(&spec, options, arena);
    else
        assert(arena == NULL || err.message[0] != '\0');
    arena_destroy(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const struct job_spec_options ids_only = {.allow_paths = false};
    static const struct job_spec_options with_paths = {.allow_paths = true};
    try_options(bytes, size, &ids_only);
    try_options(bytes, size, &with_paths);
    return 0;
}
