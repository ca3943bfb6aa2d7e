/* Answers that are kept: what many clients ask again and again is rendered once.
 *
 * There are two layers in one cache. A whole answer counts as long as nothing at all has changed
 * (no commit, no progress), or nothing of the one job it shows, and only for who asked. Under it
 * the text of each job at rest counts as long as the job has the same revision, so that changes
 * elsewhere cost a list a look at the rows only.
 */

#include "api_private.h"

#include "ptqd/base/clock.h"
#include "ptqd/base/digest.h"

#include <fcntl.h>
#include <string.h>

static const char json_media_type[] = "application/json";

/* How old the time left may be that a kept answer shows. */
enum { LIVE_MS = 100 };

/* While a commit is under way some readers see what was before, others what comes: a kept answer
 * could be older than what its client has read already. */
static struct answer_version version_of(uint64_t store, uint64_t jobs)
{
    return (struct answer_version){.store = store, .jobs = jobs, .moving = store % 2 == 1};
}

struct answer_version answer_version_now(const struct api *api)
{
    /* The store's first: what is read later is at least as new as either says. */
    uint64_t store = store_changes(api->options.store);
    return version_of(store, jobs_changes(api->options.jobs));
}

struct answer_version answer_version_of_job(const struct api *api, const char *job)
{
    uint64_t store = store_job_changes(api->options.store, job); /* first, too */
    return version_of(store, jobs_job_changes(api->options.jobs, job));
}

struct answer_version answer_version_of_objects(const struct api *api)
{
    return version_of(store_object_changes(api->options.store), 0);
}

/* Lengths stand before what comes from outside, so that two requests never make the same key. */
const char *answer_key(struct http_request *request, struct error *err)
{
    const struct param *const *query = http_route_of(request)->query;
    struct arena *arena = http_arena(request);
    const char *owner = http_owner(request);
    const char *key = arena_printf(arena, err, "%d %zu:%s%s", http_role(request), strlen(owner),
                                   owner, http_path(request));
    for (size_t i = 0; i < HTTP_QUERY_MAX && query[i] != NULL && key != NULL; i++) {
        const char *value = http_query(request, query[i]->name);
        if (value != NULL)
            key = arena_printf(arena, err, "%s\n%s %zu:%s", key, query[i]->name, strlen(value),
                               value);
    }
    return key;
}

bool reply_kept(struct http_request *request, struct api *api, const char *key,
                struct answer_version version)
{
    struct answer_text *kept = answer_cache_find(api->answers, key, version, clock_ms());
    if (kept == NULL)
        return false;
    http_set_state(request, kept, answer_cache_release); /* sent from there */
    if (kept->etag[0] != '\0')
        http_set_etag(request, kept->etag);
    if (kept->retry_seconds > 0)
        reply_retry_seconds(request, kept->retry_seconds);
    int fd = -1;
    if (kept->fd >= 0 && http_header(request, "Accept-Encoding") == NULL)
        fd = fcntl(kept->fd, F_DUPFD_CLOEXEC, 0);
    if (fd >= 0) {
        http_answer_pages(request, fd, kept->size, json_media_type);
        http_add_header(request, "Vary", "Accept-Encoding"); /* as of what may be encoded */
    } else {
        http_answer(request, 200, json_media_type, kept->text, kept->size, false);
    }
    return true;
}

void keep_answer(struct api *api, const char *key, struct answer_version version, bool live,
                 const struct answer_draft *draft)
{
    int64_t until_ms = live ? clock_ms() + LIVE_MS : INT64_MAX;
    answer_cache_put(api->answers, key, version, until_ms, draft);
}

bool make_etag(const char *text, size_t size, char out_etag[static ANSWER_ETAG_BYTES],
               struct error *err)
{
    char hex[DIGEST_HEX_BYTES];
    if (!digest_bytes(text, size, hex, err))
        return false;
    memcpy(out_etag, hex, ANSWER_ETAG_BYTES - 1);
    out_etag[ANSWER_ETAG_BYTES - 1] = '\0';
    return true;
}

/* Nothing of it runs, and it has no time left that depends on the clock. */
static bool is_at_rest(const struct job_row *row)
{
    const struct job_counts *counts = &row->counts;
    return counts->running == 0 && (counts->queued == 0 || job_counts_ended(counts) == 0);
}

static bool find_text(struct api *api, const struct job_row *row, struct arena *arena,
                      struct job_text *out_text, bool *out_found, struct error *err)
{
    const struct answer_version version = {.store = (uint64_t)row->revision};
    struct answer_text *kept = answer_cache_find(api->answers, row->id, version, 0);
    *out_found = kept != NULL;
    if (kept == NULL)
        return true;
    struct job_text text = {.text = arena_strndup(arena, kept->text, kept->size, err),
                            .size = kept->size};
    memcpy(text.etag, kept->etag, sizeof(text.etag));
    answer_cache_release(kept);
    *out_text = text;
    return text.text != NULL;
}

bool job_text(struct api *api, struct database *database, const struct job_row *row,
              struct arena *arena, struct job_text *out_text, struct error *err)
{
    const struct answer_version version = {.store = (uint64_t)row->revision};
    struct job_text text = {.live = !is_at_rest(row)};
    bool found = false;
    if (!text.live && !find_text(api, row, arena, out_text, &found, err))
        return false;
    if (found)
        return true;
    struct json *object = json_object(arena);
    if (!add_job(object, api, database, row, arena, err))
        return false;
    text.text = json_print_string(object, arena, &text.size, err);
    if (text.text == NULL || !make_etag(text.text, text.size, text.etag, err))
        return false;
    if (!text.live)
        answer_cache_put(api->answers, row->id, version, INT64_MAX,
                         &(struct answer_draft){text.text, text.size, text.etag, 0});
    *out_text = text;
    return true;
}
