#include "fake_executor.h"

#include "support.h"

#include <math.h>
#include <string.h>

/* Far above what anything takes; only a test that fails waits so long. */
static const uint64_t deadline_ns = UINT64_C(20000000000);

void fake_executor_init(struct fake_executor *fake, enum fake_mode mode)
{
    memset(fake, 0, sizeof(*fake));
    atomic_init(&fake->mode, mode);
    atomic_init(&fake->discarded, 0);
    ck_assert_int_eq(uv_mutex_init(&fake->mutex), 0);
    ck_assert_int_eq(uv_cond_init(&fake->changed), 0);
}

void fake_executor_finish(struct fake_executor *fake)
{
    uv_cond_destroy(&fake->changed);
    uv_mutex_destroy(&fake->mutex);
}

static void note_start(struct fake_executor *fake, const struct run_ticket *ticket)
{
    uv_mutex_lock(&fake->mutex);
    if (fake->count < FAKE_RUNS_MAX) {
        fake->attempts[fake->count] = ticket->attempt;
        memcpy(fake->runs[fake->count], ticket->run, strlen(ticket->run) + 1);
        fake->count++;
    }
    uv_cond_broadcast(&fake->changed);
    uv_mutex_unlock(&fake->mutex);
    if (fake->started != NULL)
        fake->started(fake->context, ticket);
}

/* True when released, false when told to stop. */
static bool wait_for_release(struct fake_executor *fake, const struct run_ticket *ticket)
{
    enum { REPORT_EVERY_NS = 5000000 };
    static const struct ticket_progress half = {
        .step = "optimize",
        .unit = 1,
        .units = 2,
        .fraction = 0.5,
        .loss = 0.25,
        .seconds_left = 7,
    };
    for (;;) {
        if (!ticket_report(ticket, &half))
            return false;
        uv_mutex_lock(&fake->mutex);
        if (!fake->released) /* woken or not: the loop looks */
            (void)uv_cond_timedwait(&fake->changed, &fake->mutex, REPORT_EVERY_NS);
        bool released = fake->released;
        uv_mutex_unlock(&fake->mutex);
        if (released)
            return true;
    }
}

static bool execute(void *context, const struct run_ticket *ticket, struct run_outcome *out_outcome,
                    struct error *err)
{
    struct fake_executor *fake = context;
    int mode = atomic_load(&fake->mode);
    note_start(fake, ticket);
    if (mode == FAKE_FAIL)
        return FAIL(err, E_UNSUPPORTED, "operator 'Magic' is not supported");
    if (mode == FAKE_WAIT && !wait_for_release(fake, ticket))
        return FAIL(err, E_CANCELLED, "told to stop");

    char *result = arena_printf(ticket->arena, err, "{\"seed\":%lld}", (long long)ticket->seed);
    struct artifact_row *artifact = ARENA_NEW(ticket->arena, struct artifact_row, err);
    if (result == NULL || artifact == NULL)
        return false;
    *artifact =
        (struct artifact_row){"model.onnx", "application/octet-stream", fake->artifact_blob, 5};
    *out_outcome = (struct run_outcome){
        .accuracy = 0.5,
        .loss = (double)NAN,
        .agreement = 1,
        .seconds = 0.25,
        .result = result,
        .artifacts = artifact,
        .artifact_count = fake->artifact_blob != NULL,
    };
    return true;
}

static void discard(void *context, const char *run)
{
    struct fake_executor *fake = context;
    (void)run; /* only how many */
    atomic_fetch_add(&fake->discarded, 1);
}

struct jobs_executor fake_executor_interface(struct fake_executor *fake)
{
    return (struct jobs_executor){.execute = execute, .discard = discard, .context = fake};
}

bool fake_executor_wait_started(struct fake_executor *fake, int count)
{
    uint64_t end_ns = uv_hrtime() + deadline_ns;
    uv_mutex_lock(&fake->mutex);
    for (uint64_t now_ns; fake->count < count && (now_ns = uv_hrtime()) < end_ns;) {
        /* Woken or out of time: the loop looks. */
        (void)uv_cond_timedwait(&fake->changed, &fake->mutex, end_ns - now_ns);
    }
    bool enough = fake->count >= count;
    uv_mutex_unlock(&fake->mutex);
    return enough;
}

void fake_executor_release(struct fake_executor *fake)
{
    uv_mutex_lock(&fake->mutex);
    fake->released = true;
    uv_cond_broadcast(&fake->changed);
    uv_mutex_unlock(&fake->mutex);
}
