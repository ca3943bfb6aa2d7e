/* Runs that go on from the state of another one: which do, and that they come to the same bits. */

#include "ptqd/flow/run.h"

#include "ptqd/flow/sensitivity.h"
#include "ptqd/flow/shared.h"

#include "small_network.h"
#include "support.h"

#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>

static struct arena *arena;
static struct error err;
static struct pipeline pipeline;
static struct run_request request;

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
    ck_assert_ok(param_defaults(pipeline_table(), arena, &pipeline, &err), &err);
    pipeline.weights.bits = 3;
    pipeline.optimize.iterations = 40;
    pipeline.optimize.batch = 16;
    pipeline.optimize.epochs = 2;
    pipeline.postprocess.batch = 16;
    pipeline.postprocess.epochs = 2;
    struct graph *graph = small_network_create(arena, 1);
    request = (struct run_request){
        .model = graph,
        .calibration = small_network_data(arena, graph, 48, false, 2),
        .evaluation = small_network_data(arena, graph, 50, true, 3),
        .pipeline = &pipeline,
        .seed = 5,
        .origin = {.program_version = "test",
                   .model = "model",
                   .calibration = "calibration",
                   .evaluation = "evaluation",
                   .variant = "{}"},
        .shared = shared_create(1 << 22),
    };
}

static void teardown(void)
{
    shared_destroy(request.shared);
    arena_destroy(arena);
}

static struct run_result *run(void)
{
    struct run_result *result;
    ck_assert_ok(run_execute(arena, &request, &result, &err), &err);
    return result;
}

static struct run_result *run_alone(void)
{
    struct shared *shared = request.shared;
    request.shared = NULL;
    struct run_result *result = run();
    request.shared = shared;
    return result;
}

static bool took_time(const struct run_result *result, const char *part)
{
    for (int i = 0; i < result->step_count; i++)
        if (strcmp(result->steps[i].name, part) == 0)
            return true;
    return false;
}

static void assert_same_layer(const struct run_layer *a, const struct run_layer *b)
{
    const double of_a[] = {a->weight_sqnr_db, a->input_sqnr_db, a->output_sqnr_before_db,
                           a->output_sqnr_after_db, a->output_sqnr_final_db};
    const double of_b[] = {b->weight_sqnr_db, b->input_sqnr_db, b->output_sqnr_before_db,
                           b->output_sqnr_after_db, b->output_sqnr_final_db};
    ck_assert_mem_eq(of_a, of_b, sizeof(of_a));
    ck_assert_mem_eq(&a->input_scale, &b->input_scale, sizeof(a->input_scale));
    ck_assert_int_eq(a->input_zero_point, b->input_zero_point);
    ck_assert_int_eq(a->weight_channels, b->weight_channels);
}

static void assert_same_network(const struct quant_layer *a, const struct quant_layer *b)
{
    size_t cells = (size_t)(a->K * a->D), channels = (size_t)a->quantizer.channels;
    ck_assert_mem_eq(a->weight_values, b->weight_values, cells * sizeof(float));
    ck_assert_mem_eq(a->bias_values, b->bias_values, (size_t)a->K * sizeof(float));
    if (channels == 0) /* float */
        return;
    ck_assert_mem_eq(a->codes, b->codes, cells);
    ck_assert_mem_eq(a->quantizer.scales, b->quantizer.scales, channels * sizeof(float));
    ck_assert_mem_eq(a->quantizer.zero_points, b->quantizer.zero_points,
                     channels * sizeof(int32_t));
}

static void assert_same_losses(const struct run_result *a, const struct run_result *b)
{
    ck_assert_int_eq(a->loss_count, b->loss_count);
    for (int i = 0; i < a->loss_count; i++) {
        const struct run_loss *of_a = &a->losses[i], *of_b = &b->losses[i];
        ck_assert_str_eq(of_a->name, of_b->name);
        ck_assert_int_eq(of_a->count, of_b->count);
        ck_assert_mem_eq(of_a->iterations, of_b->iterations, (size_t)of_a->count * sizeof(int32_t));
        ck_assert_mem_eq(of_a->values, of_b->values, (size_t)of_a->count * sizeof(float));
    }
}

static void assert_same(const struct run_result *a, const struct run_result *b)
{
    assert_same_losses(a, b);
    const double of_a[] = {a->float_accuracy, a->accuracy, a->agreement, a->output_sqnr_db};
    const double of_b[] = {b->float_accuracy, b->accuracy, b->agreement, b->output_sqnr_db};
    ck_assert_mem_eq(of_a, of_b, sizeof(of_a));
    for (int i = 0; i < a->layer_count; i++) {
        assert_same_layer(&a->layers[i], &b->layers[i]);
        assert_same_network(&a->network->layers[i], &b->network->layers[i]);
    }
    ck_assert_int_eq(a->sensitivity != NULL, b->sensitivity != NULL);
    for (int i = 0; a->sensitivity && i < a->layer_count; i++)
        ck_assert_mem_eq(&a->sensitivity->weights[i], &b->sensitivity->weights[i],
                         sizeof(struct sensitivity_effect));
    ck_assert_int_eq(a->artifact_count, b->artifact_count);
    for (int i = 0; i < a->artifact_count; i++)
        ck_assert_str_eq(a->artifacts[i].sha256, b->artifacts[i].sha256);
}

/* ---- what is shared ---- */

static void other_evaluation(void)
{
    request.evaluation = small_network_data(arena, request.model, 30, true, 4);
    request.origin.evaluation = "another";
}

static void no_evaluation(void)
{
    request.evaluation = NULL;
    request.origin.evaluation = NULL;
}

static void other_report(void)
{
    pipeline.report.sensitivity = true;
    pipeline.artifacts = 0;
}

static void other_seed(void)
{
    request.seed++;
}

static void no_tuning(void)
{
    pipeline.postprocess.bias = BIAS_NONE;
}

static void other_tuning(void)
{
    pipeline.postprocess.learning_rate *= 2;
}

static void correction(void)
{
    pipeline.postprocess.bias = BIAS_CORRECT;
}

static void other_bits(void)
{
    pipeline.weights.bits = 4;
}

static void other_rules(void)
{
    const struct param_table *table = layer_rule_table();
    struct layer_rule *rule = ARENA_NEW(arena, struct layer_rule, &err);
    rule->match = "dense";
    rule->given = UINT64_C(1) << (param_find(table, "skip") - table->rows);
    rule->skip = true;
    pipeline.rules = rule;
    pipeline.rule_count = 1;
}

static void other_method(void)
{
    pipeline.optimize.variable = 0;
}

static void other_samples(void)
{
    pipeline.samples = 40;
}

static void other_scale(void)
{
    struct dataset *scaled = arena_memdup(arena, request.calibration, sizeof(*scaled), &err);
    scaled->scale = 0.5;
    request.calibration = scaled;
}

static void other_calibration(void)
{
    request.calibration = small_network_data(arena, request.model, 48, false, 7);
    request.origin.calibration = "another";
}

static void other_model(void)
{
    request.origin.model = "another";
}

static void other_version(void)
{
    request.origin.program_version = "another";
}

static const struct {
    void (*change)(void);
    bool reconstructs, trains, tunes; /* again */
} changes[] = {
    {other_evaluation, false, false, false}, {no_evaluation, false, false, false},
    {other_report, false, false, false},     {other_seed, false, true, true},
    {no_tuning, false, false, false},        {other_tuning, false, false, true},
    {correction, false, false, true},        {other_bits, true, true, true},
    {other_rules, true, true, true},         {other_samples, true, true, true},
    {other_scale, true, true, true},         {other_calibration, true, true, true},
    {other_model, true, true, true},         {other_version, true, true, true},
};
enum {
    CHANGES = sizeof(changes) / sizeof(changes[0]),
    SHARING_CHANGES = 7 /* the first of them */
};

/* Laws: a run decides what does not follow from what another run had, and only that; it comes to
 * the bits that it comes to alone. */
static void check_change(int row, bool trained)
{
    const struct run_result *first = run();
    ck_assert(took_time(first, "quantized") && took_time(first, "tune"));
    ck_assert(!took_time(first, "shared"));
    changes[row].change();
    const struct run_result *second = run();
    ck_assert_int_eq(took_time(second, "quantized"), changes[row].reconstructs);
    ck_assert_int_eq(took_time(second, "train"), trained && changes[row].trains);
    ck_assert_int_eq(took_time(second, "tune"), changes[row].tunes);
    ck_assert_int_eq(took_time(second, "shared"), !changes[row].reconstructs);
    assert_same(second, run_alone());
    const struct run_result *third = run(); /* that of the second is there as well */
    ck_assert(!took_time(third, "quantized") && !took_time(third, "train"));
    ck_assert(!took_time(third, "tune") && took_time(third, "shared"));
    assert_same(third, second);
}

START_TEST(layers_are_solved_once)
{
    check_change(_i, false);
}
END_TEST

START_TEST(the_network_is_trained_once)
{
    pipeline.optimize.granularity = OPTIMIZE_NETWORK;
    pipeline.optimize.variable =
        param_choice_find(param_find(pipeline_table(), "optimize.variable"), "weights");
    check_change(_i, true);
}
END_TEST

START_TEST(blocks_are_trained_once)
{
    pipeline.optimize.granularity = OPTIMIZE_BLOCK;
    check_change(_i, true);
}
END_TEST

START_TEST(other_methods_share_nothing)
{
    (void)run(); /* for what it leaves */
    other_method();
    ck_assert(!took_time(run(), "shared"));
}
END_TEST

/* Law: where samples are drawn by the seed, so are all results. */
START_TEST(seeds_that_draw_other_samples_share_nothing)
{
    pipeline.samples = 40;
    (void)run(); /* for what it leaves */
    other_seed();
    const struct run_result *second = run();
    ck_assert(!took_time(second, "shared"));
    assert_same(second, run_alone());
}
END_TEST

/* Law: the correction of biases draws nothing, so seeds have all of it in common. */
START_TEST(seeds_share_corrected_biases)
{
    correction();
    (void)run(); /* for what it leaves */
    other_seed();
    const struct run_result *second = run();
    ck_assert(!took_time(second, "quantized") && !took_time(second, "tune"));
    assert_same(second, run_alone());
}
END_TEST

/* ---- runs that do not come to their end ---- */

struct stop {
    const char *step;
    sem_t *reached, *go_on; /* NULL: nobody waits */
    bool stops;
};

/* Stops, or is held up, once at a step. */
static bool at_step(void *context, const struct run_progress *progress)
{
    struct stop *stop = context;
    if (!stop->step || strcmp(progress->step, stop->step) != 0)
        return true;
    stop->step = NULL;
    if (stop->reached)
        sem_post(stop->reached);
    while (stop->go_on && sem_wait(stop->go_on) != 0) /* a signal may interrupt it */
        ;
    return !stop->stops;
}

/* Law: what a stopped run has finished is there; what it was at is decided anew. */
START_TEST(a_run_that_is_stopped_leaves_what_it_has_finished)
{
    static const char *const steps[] = {"reconstruct", "tune"};
    struct stop stop = {.step = steps[_i], .stops = true};
    struct run_result *result;
    request.monitor = (struct run_monitor){.report = at_step, .context = &stop};
    ck_assert_fails(run_execute(arena, &request, &result, &err), &err, E_CANCELLED, "stopped");
    request.monitor.report = NULL;
    const struct run_result *second = run();
    ck_assert_int_eq(took_time(second, "quantized"), _i == 0);
    ck_assert(took_time(second, "tune"));
    assert_same(second, run_alone());
}
END_TEST

START_TEST(a_run_that_fails_leaves_nothing)
{
    struct dataset *broken = arena_memdup(arena, request.calibration, sizeof(*broken), &err);
    const struct dataset *sound = request.calibration;
    struct run_result *result;
    broken->scale = HUGE_VAL; /* activations are not finite */
    request.calibration = broken;
    for (int call = 0; call < 2; call++)
        ck_assert_fails(run_execute(arena, &request, &result, &err), &err, E_INVALID, "finite");
    request.calibration = sound;
    assert_same(run(), run_alone());
}
END_TEST

struct companion {
    pthread_t thread;
    struct run_request request;
    struct arena *arena;
    struct stop stop;
    struct run_result *result;
    struct error err;
    bool done;
};

static void *accompany(void *context)
{
    struct companion *companion = context;
    companion->done =
        run_execute(companion->arena, &companion->request, &companion->result, &companion->err);
    return NULL;
}

static void start(struct companion *companion)
{
    companion->request = request;
    companion->request.monitor =
        (struct run_monitor){.report = at_step, .context = &companion->stop};
    companion->arena = arena_create(0);
    ck_assert_int_eq(pthread_create(&companion->thread, NULL, accompany, companion), 0);
}

/* Laws: a run waits for another one that is at the same step, whatever the seeds are; when that one
 * is stopped, it goes on by itself. */
START_TEST(a_run_waits_for_another_one)
{
    bool stops = _i & 1, same_seed = _i & 2;
    sem_t decides, waits;
    sem_init(&decides, 0, 0);
    sem_init(&waits, 0, 0);
    struct companion first = {
        .stop = {.step = "reconstruct", .reached = &decides, .go_on = &waits, .stops = stops}};
    struct companion second = {.stop = {.step = "shared", .reached = &waits}};
    start(&first);
    while (sem_wait(&decides) != 0) /* a signal may interrupt it */
        ;
    request.seed += !same_seed;
    start(&second);
    pthread_join(first.thread, NULL);
    pthread_join(second.thread, NULL);
    ck_assert_int_eq(first.done, !stops);
    ck_assert_ok(second.done, &second.err);
    ck_assert_int_eq(took_time(second.result, "quantized"), stops);
    ck_assert_int_eq(took_time(second.result, "tune"), stops || !same_seed);
    assert_same(second.result, run_alone());
    arena_destroy(first.arena);
    arena_destroy(second.arena);
    sem_destroy(&decides);
    sem_destroy(&waits);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shared state");
    TCase *tcase = tcase_create("laws");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, layers_are_solved_once, 0, CHANGES);
    tcase_add_loop_test(tcase, the_network_is_trained_once, 0, SHARING_CHANGES);
    tcase_add_loop_test(tcase, blocks_are_trained_once, 0, SHARING_CHANGES);
    tcase_add_test(tcase, other_methods_share_nothing);
    tcase_add_test(tcase, seeds_that_draw_other_samples_share_nothing);
    tcase_add_test(tcase, seeds_share_corrected_biases);
    tcase_add_loop_test(tcase, a_run_that_is_stopped_leaves_what_it_has_finished, 0, 2);
    tcase_add_test(tcase, a_run_that_fails_leaves_nothing);
    tcase_add_loop_test(tcase, a_run_waits_for_another_one, 0, 4);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
