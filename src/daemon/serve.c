/* ptqd serve: puts the parts together, waits in the libuv loop for the end, takes them apart.
 *
 * Order of the end: no run is claimed and the workers are told to stop, which takes them a moment;
 * meanwhile no new connections, and requests under way answered (they need the store and the
 * queue); then the workers are waited for (what they ran is back in the queue), then the store.
 */

#include "commands.h"
#include "execute.h"
#include "notify.h"
#include "retention_timer.h"
#include "runner.h"
#include "sockets.h"

#include "ptqd/api/api.h"
#include "ptqd/base/log.h"
#include "ptqd/flow/shared.h"
#include "ptqd/http/listen.h"
#include "ptqd/http/server.h"
#include "ptqd/http/tls.h"
#include "ptqd/jobs/jobs.h"
#include "ptqd/store/run_file.h"
#include "ptqd/store/store.h"
#include "ptqd/store/token_row.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum { LOOK_EVERY_MS = 1000 }; /* for limits that a command has changed */

struct service {
    const struct settings *settings; /* borrowed */
    struct store *store;
    struct shared *shared;
    struct admission *admission;
    struct runner runner;
    struct jobs *jobs;
    struct api *api;
    struct http_tls *tls; /* NULL: not configured */
    struct http_server *server;
    bool open;            /* no token is configured */
    int64_t data_version; /* of the store, when workers were last told to look */
    int listen_fd;        /* handed over by the service manager; −1: none, or the server's */
};

/* What runs share. libuv reads what the machine has from files, see the end of command_serve, so
 * this is before there are threads. */
static bool share_memory(struct service *service, struct error *err)
{
    service->shared = shared_create(EXECUTE_SHARED_BYTES);
    if (service->shared == NULL)
        return FAIL(err, E_MEMORY, "no memory for what runs share");
    return admission_create(settings_memory_bytes(service->settings), &service->admission, err);
}

static bool open_store(struct service *service, struct error *err)
{
    const struct settings *settings = service->settings;
    const struct store_options options = {
        .limits = {.queued_runs = settings->queued_runs,
                   .running_runs = settings->running_runs,
                   .stored_bytes = (int64_t)settings_bytes(settings->stored_mib),
                   .run_crashes = settings->crash_limit},
    };
    return store_open(settings->data, &options, &service->store, err);
}

/* With socket activation it is the socket that counts, not the setting. */
static bool is_local(const struct service *service, const char **out_address,
                     char buffer[static SOCKETS_NAME_BYTES])
{
    *out_address = service->settings->address;
    if (service->listen_fd < 0)
        return http_is_loopback(*out_address);
    sockets_name(service->listen_fd, buffer);
    *out_address = buffer;
    return sockets_is_local(service->listen_fd);
}

static bool read_tokens(struct service *service, struct error *err)
{
    struct arena *arena = command_arena(err);
    struct database *database;
    struct token_row *rows;
    size_t count = 0;
    bool ok = arena != NULL && store_reader(service->store, &database, err) &&
              token_row_list(database, arena, &rows, &count, err);
    arena_destroy(arena);
    service->open = count == 0;
    char buffer[SOCKETS_NAME_BYTES];
    const char *address;
    if (ok && service->open && !is_local(service, &address, buffer))
        return FAIL(err, E_FORBIDDEN,
                    "no token is configured, so anybody could use %s; add one (ptqd token add "
                    "NAME admin) or listen on 127.0.0.1",
                    address);
    return ok;
}

static bool start_queue(struct service *service, struct error *err)
{
    const struct settings *settings = service->settings;
    service->runner = (struct runner){.blobs = store_blobs(service->store),
                                      .shared = service->shared,
                                      .directory = settings->data,
                                      .run_bytes = settings_bytes(settings->run_memory),
                                      .admission = service->admission,
                                      .checkpoint_seconds = (double)settings->checkpoint_seconds};
    const struct jobs_options options = {
        .workers = settings->workers,
        .executor = {.execute = runner_execute,
                     .discard = runner_discard,
                     .discard_job = runner_discard_job,
                     .context = &service->runner},
    };
    struct database *database;
    return run_file_recover(service->store, settings->data, err) &&
           jobs_create(service->store, &options, &service->jobs, err) &&
           store_reader(service->store, &database, err) &&
           run_file_collect(database, settings->data, err);
}

static bool start_api(struct service *service, struct error *err)
{
    const struct settings *settings = service->settings;
    const struct api_options options = {
        .store = service->store,
        .jobs = service->jobs,
        .open = service->open,
        .private = settings->others == OTHERS_PRIVATE,
        .model_bytes = settings_bytes(settings->model_limit),
        .dataset_bytes = settings_bytes(settings->dataset_limit),
        .import_bytes = settings_bytes(settings->import_memory),
        .run_bytes = settings_bytes(settings->run_memory),
        .priority_limit = settings->priority_limit,
        .watchers = settings->watchers,
        .watchers_per_owner = settings->watchers_per_owner,
        .heartbeat_ms = API_HEARTBEAT_MS,
    };
    return api_create(&options, &service->api, err);
}

static bool read_certificate(struct service *service, struct error *err)
{
    const struct settings *settings = service->settings;
    bool certificate = strcmp(settings->tls_certificate, "none") != 0;
    bool key = strcmp(settings->tls_key, "none") != 0;
    if (certificate != key)
        return FAIL(err, E_INVALID, "tls_certificate and tls_key are needed both or neither");
    return !certificate ||
           http_tls_create(settings->tls_certificate, settings->tls_key, &service->tls, err);
}

static bool start_server(struct service *service, struct error *err)
{
    const struct settings *settings = service->settings;
    struct http_options options = http_default_options;
    options.tls = service->tls;
    options.tables = api_tables();
    options.context = service->api;
    options.problem = api_problem;
    options.authorize = api_authorize;
    options.threads = (unsigned)settings->http_threads;
    options.connections = (unsigned)settings->connections;
    options.connections_per_ip = (unsigned)settings->connections_per_ip;
    options.connections_per_owner = (unsigned)settings->connections_per_owner;
    options.idle_timeout_seconds = (unsigned)settings->idle_seconds;
    options.uploads = (unsigned)settings->uploads;
    options.uploads_per_owner = (unsigned)settings->uploads_per_owner;
    options.body_memory_bytes = settings_bytes(settings->body_memory);
    options.answer_memory_bytes = settings_bytes(settings->answer_memory);
    options.header_timeout_ms = (unsigned)settings->header_seconds * 1000;
    options.slow_grace_ms = (unsigned)settings->slow_seconds * 1000;
    options.slow_bytes_per_second = (unsigned)settings->slow_rate;
    char buffer[SOCKETS_NAME_BYTES];
    const char *address;
    (void)is_local(service, &address, buffer); /* for the address */
    options.listen_fd = service->listen_fd;
    service->listen_fd = -1;
    if (options.listen_fd < 0 &&
        !http_listen(settings->address, settings->port, &options.listen_fd, err))
        return false;
    int port = http_listen_port(options.listen_fd);
    if (!http_server_start(&options, &service->server, err)) {
        close(options.listen_fd);
        return false;
    }
    api_set_server(service->api, service->server);
    log_write(LOG_INFO, "daemon", "listening|address=%s port=%d tokens=%s tls=%s", address, port,
              service->open ? "none" : "required", service->tls != NULL ? "yes" : "no");
    return true;
}

static bool start(struct service *service, struct error *err)
{
    return sockets_inherit(&service->listen_fd, err) && share_memory(service, err) &&
           open_store(service, err) && read_tokens(service, err) && start_queue(service, err) &&
           start_api(service, err) && read_certificate(service, err) &&
           start_server(service, err) && jobs_start(service->jobs, err);
}

static void stop(struct service *service)
{
    if (service->api != NULL) {
        api_set_ready(service->api, false);
        api_set_server(service->api, NULL);
    }
    if (service->jobs != NULL)
        jobs_drain(service->jobs);
    http_server_stop(service->server, (unsigned)service->settings->drain_seconds * 1000);
    http_tls_destroy(service->tls);
    if (service->jobs != NULL)
        jobs_stop(service->jobs);
    api_destroy(service->api);
    jobs_destroy(service->jobs);
    shared_destroy(service->shared);
    admission_destroy(service->admission);
    store_close(service->store);
}

/* ---- the loop ---- */

static void on_signal(uv_signal_t *handle, int number)
{
    log_write(LOG_INFO, "daemon", "stopping|signal=%s", number == SIGTERM ? "TERM" : "INT");
    uv_stop(handle->loop);
}

/* Reads again what can change while the daemon runs. */
static void on_hangup(uv_signal_t *handle, int number)
{
    (void)number;
    struct service *service = handle->data;
    struct error err = {0};
    if (service->tls != NULL && !http_tls_reload(service->tls, &err))
        log_failure("daemon", "the certificate stays as it was", &err);
    else
        log_write(LOG_INFO, "daemon", "reloaded|tls=%s", service->tls != NULL ? "yes" : "no");
}

/* Signals wait, blocked in every thread, until the loop listens: their default is to kill, also
 * what runs already. A second SIGTERM while the daemon stops may do that; a SIGHUP may not. */
static void hold_signals(int how, bool all)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    if (all) {
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
    }
    (void)pthread_sigmask(how, &set, NULL); /* can't fail with a valid `how` */
}

static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    notify_alive();
}

/* `ptqd token change` is another process: what it commits may let a run start that a limit held
 * back, and nobody tells the workers. What this process commits wakes them once more, which costs
 * each idle one a look. */
static void on_look(uv_timer_t *timer)
{
    struct service *service = timer->data;
    int64_t version;
    struct error err = {.message = ""};
    if (!store_data_version(service->store, &version, &err)) {
        log_failure("daemon", "can't see whether limits have changed", &err);
    } else if (version != service->data_version) {
        service->data_version = version;
        jobs_wake(service->jobs);
    }
}

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    uv_close(handle, NULL);
}

static struct retention_limits retention_limits(const struct settings *settings)
{
    const int64_t day_ms = INT64_C(24) * 3600 * 1000;
    return (struct retention_limits){
        .jobs_ms = settings->keep_jobs_days * day_ms,
        .unused_ms = settings->keep_unused_days * day_ms,
        .bytes = (int64_t)settings_bytes(settings->keep_total),
    };
}

/* Blocks until SIGTERM or SIGINT; leaves nothing in the loop. */
static bool wait_for_end(struct service *service, uv_loop_t *loop, struct error *err)
{
    uv_signal_t term, interrupt, hangup;
    uv_timer_t watchdog, look;
    struct retention_timer retention = {.working = false};
    /* Initialising these can't fail on a fresh loop. */
    (void)uv_signal_init(loop, &term);
    (void)uv_signal_init(loop, &interrupt);
    (void)uv_signal_init(loop, &hangup);
    (void)uv_timer_init(loop, &watchdog);
    (void)uv_timer_init(loop, &look);
    hangup.data = look.data = service;
    int status = uv_signal_start(&term, on_signal, SIGTERM);
    if (status == 0)
        status = uv_signal_start(&interrupt, on_signal, SIGINT);
    if (status == 0)
        status = uv_signal_start(&hangup, on_hangup, SIGHUP);
    uint64_t interval_ms = notify_interval_ms();
    if (status == 0 && interval_ms > 0)
        status = uv_timer_start(&watchdog, on_watchdog, interval_ms, interval_ms);
    if (status == 0)
        status = uv_timer_start(&look, on_look, LOOK_EVERY_MS, LOOK_EVERY_MS);
    struct retention_limits limits = retention_limits(service->settings);
    if (status == 0)
        status = retention_timer_start(&retention, loop, service->store, service->jobs, &limits);
    if (status == 0) {
        notify_ready();
        hold_signals(SIG_UNBLOCK, true);
        (void)uv_run(loop, UV_RUN_DEFAULT); /* returns when it is stopped */
        hold_signals(SIG_BLOCK, false);
        notify_stopping();
    }
    retention_timer_end(&retention);
    uv_walk(loop, close_handle, NULL);
    (void)uv_run(loop, UV_RUN_DEFAULT); /* lets the handles close */
    return status == 0 || FAIL(err, E_UNAVAILABLE, "signals: %s", uv_strerror(status));
}

int command_serve(const struct settings *settings, const struct arguments *arguments)
{
    struct error err = {0};
    struct service service = {.settings = settings, .listen_fd = -1};
    uv_loop_t loop;
    if (arguments->word_count > 0)
        return STATUS_USAGE;
    log_set_start(log_service_start());
    log_limit_repeats(10, 10000); /* a full disk would fill the log's as well */
    signal(SIGPIPE, SIG_IGN);     /* a client that went away is an error of write */
    signal(SIGXFSZ, SIG_IGN);     /* so is a file that may not grow */
    sockets_raise_limit();
    hold_signals(SIG_BLOCK, true); /* before there are threads, which inherit it */
    int status = uv_loop_init(&loop);
    if (status != 0) {
        (void)FAIL(&err, E_UNAVAILABLE, "the event loop does not start: %s", uv_strerror(status));
        return command_fail("serve", &err);
    }
    bool ok = start(&service, &err);
    if (ok) {
        api_set_ready(service.api, true);
        ok = wait_for_end(&service, &loop, &err);
    }
    stop(&service);
    /* Last: libuv closes its descriptors by system calls, which the thread sanitizer does not see;
     * to it, a thread that then gets the same number would race. */
    (void)uv_loop_close(&loop);
    if (ok)
        log_write(LOG_INFO, "daemon", "stopped");
    return ok ? 0 : command_fail("serve", &err);
}
