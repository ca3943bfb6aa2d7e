/* Runs that are interrupted and taken up from their checkpoints. */

#include "ptqd/flow/run.h"

#include "ptqd/flow/sensitivity.h"
#include "ptqd/flow/shared.h"

#include "small_network.h"
#include "support.h"

#include <string.h>

enum { CHECKPOINTS_MAX = 32, LAYERS = 4, EPOCHS = 3 };

/* What a run has given out; `stop_behind`: it is stopped behind so many of them, 0: never. */
struct record {
    int count, stop_behind, resumptions;
    struct {
        const uint8_t *bytes;
        size_t size;
    } kept[CHECKPOINTS_MAX];
    struct run_resumption resumption;
    struct error problem;
};

static struct arena *arena;
static struct arena *store; /* of checkpoints: the run's is reset behind each of them */
static struct error err;
static struct pipeline pipeline;
static struct run_request request;
static struct record whole; /* of a run that nobody disturbs */
static struct run_result *undisturbed;

static void save(void *context, const uint8_t *bytes, size_t size)
{
    struct record *record = context;
    ck_assert_int_lt(record->count, CHECKPOINTS_MAX);
    record->kept[record->count].bytes = arena_memdup(store, bytes, size, NULL);
    record->kept[record->count].size = size;
    record->count++;
}

static void resumed(void *context, const struct run_resumption *resumption)
{
    struct record *record = context;
    record->resumptions++;
    record->resumption = *resumption;
    if (resumption->problem)
        record->problem = *resumption->problem;
}

static bool go_on(void *context, const struct run_progress *progress)
{
    const struct record *record = context;
    (void)progress; /* only how much was kept */
    return record->stop_behind == 0 || record->count < record->stop_behind;
}

/* Executes the request from the last checkpoint of `from`, or from the beginning. */
static bool execute(struct record *record, const struct record *from, struct run_result **out)
{
    request.monitor = (struct run_monitor){.report = go_on, .context = record};
    request.checkpoints =
        (struct run_checkpoints){.resumed = resumed, .save = save, .context = record};
    if (from) {
        request.checkpoints.resume = from->kept[from->count - 1].bytes;
        request.checkpoints.resume_bytes = from->kept[from->count - 1].size;
    }
    return run_execute(arena, &request, out, &err);
}

static void setup(void)
{
    arena = arena_create(0);
    store = arena_create(0);
    err = (struct error){.message = ""};
    ck_assert_ok(param_defaults(pipeline_table(), arena, &pipeline, &err), &err);
    pipeline.weights.bits = 3;
    pipeline.optimize.iterations = 40;
    pipeline.postprocess.batch = 16;
    pipeline.postprocess.epochs = EPOCHS;
    pipeline.report.sensitivity = true; /* of ranges that an earlier attempt has found */
    struct graph *graph = small_network_create(arena, 1);
    request = (struct run_request){
        .model = graph,
        .calibration = small_network_data(arena, graph, 48, false, 2),
        .evaluation = small_network_data(arena, graph, 50, true, 3),
        .pipeline = &pipeline,
        .seed = 5,
        .origin = {.program_version = "test", .variant = "{}"},
    };
    whole = (struct record){.count = 0};
    ck_assert_ok(execute(&whole, NULL, &undisturbed), &err);
}

static void teardown(void)
{
    arena_destroy(arena);
    arena_destroy(store);
}

static void assert_same_bits(const double *a, const double *b)
{
    ck_assert_mem_eq(a, b, sizeof(*a));
}

static void assert_same_layer(const struct run_layer *a, const struct run_layer *b)
{
    ck_assert_str_eq(a->name, b->name);
    ck_assert_str_eq(a->op, b->op);
    assert_same_bits(&a->weight_sqnr_db, &b->weight_sqnr_db);
    assert_same_bits(&a->input_sqnr_db, &b->input_sqnr_db);
    assert_same_bits(&a->output_sqnr_before_db, &b->output_sqnr_before_db);
    assert_same_bits(&a->output_sqnr_after_db, &b->output_sqnr_after_db);
    assert_same_bits(&a->output_sqnr_final_db, &b->output_sqnr_final_db);
    ck_assert_int_eq(a->weight_channels, b->weight_channels);
    if (a->weight_channels > 0) /* none in float */
        ck_assert_mem_eq(a->weight_scales, b->weight_scales, (size_t)a->weight_channels * 4);
    ck_assert_mem_eq(&a->input_scale, &b->input_scale, sizeof(a->input_scale));
    ck_assert_int_eq(a->input_zero_point, b->input_zero_point);
}

static void assert_same_loss(const struct run_loss *a, const struct run_loss *b)
{
    ck_assert_str_eq(a->name, b->name);
    ck_assert_str_eq(a->variable, b->variable);
    ck_assert_str_eq(a->solver, b->solver);
    ck_assert_int_eq(a->count, b->count);
    ck_assert_mem_eq(a->iterations, b->iterations, (size_t)a->count * sizeof(int32_t));
    ck_assert_mem_eq(a->values, b->values, (size_t)a->count * sizeof(float));
}

static void assert_same_result(const struct run_result *a, const struct run_result *b)
{
    assert_same_bits(&a->float_accuracy, &b->float_accuracy);
    assert_same_bits(&a->accuracy, &b->accuracy);
    assert_same_bits(&a->agreement, &b->agreement);
    assert_same_bits(&a->output_sqnr_db, &b->output_sqnr_db);
    assert_same_bits(&a->cost.bops, &b->cost.bops);
    ck_assert_int_eq(a->layer_count, b->layer_count);
    for (int i = 0; i < a->layer_count; i++)
        assert_same_layer(&a->layers[i], &b->layers[i]);
    size_t effect = sizeof(struct sensitivity_effect);
    ck_assert_mem_eq(a->sensitivity->weights, b->sensitivity->weights,
                     (size_t)a->layer_count * effect);
    ck_assert_mem_eq(a->sensitivity->activations, b->sensitivity->activations,
                     (size_t)a->sensitivity->activation_count * effect);
    ck_assert_int_eq(a->loss_count, b->loss_count);
    for (int i = 0; i < a->loss_count; i++)
        assert_same_loss(&a->losses[i], &b->losses[i]);
    ck_assert_int_eq(a->artifact_count, b->artifact_count);
    for (int i = 0; i < a->artifact_count; i++)
        ck_assert_str_eq(a->artifacts[i].sha256, b->artifacts[i].sha256);
}

START_TEST(every_layer_and_every_epoch_leaves_a_checkpoint)
{
    ck_assert_int_eq(whole.count, LAYERS + EPOCHS);
    ck_assert_int_eq(whole.resumptions, 0);
}
END_TEST

/* Laws: from any checkpoint a run gives the result that it would have given, to the bit. It decides
 * nothing again: what it keeps on the way is what the undisturbed run kept behind that unit, to the
 * bit as well. */
START_TEST(a_run_goes_on_from_any_checkpoint)
{
    struct record first = whole, second = {.count = 0};
    struct run_result *result;
    first.count = _i;
    ck_assert_ok(execute(&second, &first, &result), &err);
    assert_same_result(result, undisturbed);
    ck_assert_int_eq(second.resumptions, 1);
    ck_assert_ptr_null(second.resumption.problem);
    ck_assert_str_eq(second.resumption.step, _i <= LAYERS ? "reconstruct" : "tune");
    ck_assert_int_eq(second.resumption.units, _i <= LAYERS ? _i : 0);
    ck_assert_int_eq(second.count, whole.count - _i);
    for (int i = 0; i < second.count; i++) {
        ck_assert_uint_eq(second.kept[i].size, whole.kept[_i + i].size);
        ck_assert_mem_eq(second.kept[i].bytes, whole.kept[_i + i].bytes, second.kept[i].size);
    }
}
END_TEST

/* Law: the same when every attempt is stopped behind its first layer. */
START_TEST(a_run_that_is_stopped_again_and_again_comes_to_the_same_end)
{
    struct record last = {.stop_behind = 1};
    struct run_result *result;
    ck_assert_fails(execute(&last, NULL, &result), &err, E_CANCELLED, "stopped");
    for (int layer = 2; layer <= LAYERS; layer++) {
        struct record next = {.stop_behind = 1};
        ck_assert_fails(execute(&next, &last, &result), &err, E_CANCELLED, "stopped");
        ck_assert_int_eq(next.count, 1);
        last = next;
    }
    struct record end = {.count = 0};
    ck_assert_ok(execute(&end, &last, &result), &err);
    assert_same_result(result, undisturbed);
}
END_TEST

/* Takes the present pipeline up from each of its checkpoints; how many there are. */
static int check_every_checkpoint(void)
{
    struct record all = {.count = 0};
    struct run_result *expected, *result;
    ck_assert_ok(execute(&all, NULL, &expected), &err);
    for (int i = 1; i <= all.count; i++) {
        struct record first = all, second = {.count = 0};
        first.count = i;
        ck_assert_ok(execute(&second, &first, &result), &err);
        assert_same_result(result, expected);
        ck_assert_ptr_null(second.resumption.problem);
        ck_assert_int_eq(second.count, all.count - i);
    }
    return all.count;
}

START_TEST(without_reconstruction_or_tuning_it_is_the_same)
{
    pipeline.optimize.variable = 0;
    pipeline.postprocess.bias = BIAS_NONE;
    pipeline.samples = 32;
    ck_assert_int_eq(check_every_checkpoint(), LAYERS);
}
END_TEST

/* Law: what stays in float has nothing to keep, and is taken up all the same. */
START_TEST(with_layers_in_float_it_is_the_same)
{
    const struct param_table *table = layer_rule_table();
    uint64_t skip = UINT64_C(1) << (param_find(table, "skip") - table->rows);
    uint64_t bits = UINT64_C(1) << (param_find(table, "weights.bits") - table->rows);
    const struct layer_rule rules[] = {
        {.match = "first", .given = skip, .skip = true},
        {.match = "pointwise", .given = bits, .weights = {.bits = 32}},
    };
    pipeline.rules = rules;
    pipeline.rule_count = 2;
    pipeline.weights.scheme = SCHEME_ASYMMETRIC;
    ck_assert_int_eq(check_every_checkpoint(), LAYERS + EPOCHS);
}
END_TEST

/* Law: the same for training behind the layer-wise solution, of each granularity. */
START_TEST(trained_parts_are_taken_up_too)
{
    pipeline.optimize.activations_in_loop = true;
    pipeline.optimize.drop = 0.25;
    pipeline.optimize.batch = 16;
    pipeline.optimize.epochs = EPOCHS;
    pipeline.optimize.granularity = _i;
    int parts = _i == OPTIMIZE_LAYER ? LAYERS : _i == OPTIMIZE_BLOCK ? 2 : EPOCHS;
    ck_assert_int_ge(check_every_checkpoint(), LAYERS + parts + EPOCHS);
}
END_TEST

/* Law: the same where states are shared: by a run that is taken up with others, and with it by
 * others. */
START_TEST(a_run_that_is_taken_up_shares)
{
    struct record all = {.count = 0};
    struct run_result *expected, *result;
    request.origin.model = "model";
    request.origin.calibration = "calibration";
    ck_assert_ok(execute(&all, NULL, &expected), &err);
    ck_assert_int_eq(all.count, LAYERS + EPOCHS);
    all.count = _i;
    request.shared = shared_create(1 << 20);
    for (int round = 0; round < 2; round++) { /* with what nobody left, then all */
        struct record taken = {.count = 0}, fresh = {.count = 0};
        ck_assert_ok(execute(&taken, &all, &result), &err);
        assert_same_result(result, expected);
        ck_assert_ptr_null(taken.resumption.problem);
        if (round == 0)
            ck_assert_int_eq(taken.count, LAYERS + EPOCHS - _i);
        ck_assert_ok(execute(&fresh, NULL, &result), &err);
        assert_same_result(result, expected);
        if (round == 1)
            ck_assert_int_eq(fresh.count, 0);
    }
    shared_destroy(request.shared);
    request.shared = NULL;
}
END_TEST

/* ---- what is not taken up ---- */

static void other_seed(void)
{
    request.seed++;
}

static void other_variant(void)
{
    request.origin.variant = "{\"weights.bits\":3}";
}

static void other_version(void)
{
    request.origin.program_version = "another";
}

static void other_model(void)
{
    request.origin.model = "sha256:1";
}

static void other_calibration(void)
{
    request.origin.calibration = "sha256:2";
}

static void damage(void)
{
    struct record *record = &whole;
    uint8_t *bytes = arena_memdup(arena, record->kept[2].bytes, record->kept[2].size, &err);
    bytes[record->kept[2].size / 2] ^= 1;
    record->kept[2].bytes = bytes;
}

static void cut(void)
{
    whole.kept[2].size /= 2;
}

static const struct {
    void (*change)(void);
    const char *fragment;
} strangers[] = {
    {other_seed, "another run"},        {other_variant, "another run"},
    {other_version, "another run"},     {other_model, "another run"},
    {other_calibration, "another run"}, {damage, "damaged"},
    {cut, "bytes of a checkpoint of"},
};

/* Law: what is not of this run, or not whole, changes nothing; the listener is told why. */
START_TEST(what_is_of_another_run_is_not_taken_up)
{
    struct record expected = {.count = 0}, record = {.count = 0};
    struct run_result *anew, *result;
    strangers[_i].change();
    ck_assert_ok(execute(&expected, NULL, &anew), &err);
    whole.count = 3;
    ck_assert_ok(execute(&record, &whole, &result), &err);
    ck_assert_int_eq(record.resumptions, 1);
    ck_assert_ptr_nonnull(record.resumption.problem);
    ck_assert_msg(support_contains(record.problem.message, strangers[_i].fragment), "%s",
                  record.problem.message);
    ck_assert_int_eq(record.count, LAYERS + EPOCHS);
    assert_same_result(result, anew);
}
END_TEST

START_TEST(an_interval_makes_checkpoints_rarer)
{
    struct record record = {.count = 0};
    struct run_result *result;
    request.checkpoints =
        (struct run_checkpoints){.save = save, .interval_seconds = 1e6, .context = &record};
    request.monitor.report = NULL;
    ck_assert_ok(run_execute(arena, &request, &result, &err), &err);
    ck_assert_int_eq(record.count, 0);
    assert_same_result(result, undisturbed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("run state");
    TCase *tcase = tcase_create("laws");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, every_layer_and_every_epoch_leaves_a_checkpoint);
    tcase_add_loop_test(tcase, a_run_goes_on_from_any_checkpoint, 1, LAYERS + EPOCHS + 1);
    tcase_add_test(tcase, a_run_that_is_stopped_again_and_again_comes_to_the_same_end);
    tcase_add_test(tcase, with_layers_in_float_it_is_the_same);
    tcase_add_test(tcase, without_reconstruction_or_tuning_it_is_the_same);
    tcase_add_loop_test(tcase, trained_parts_are_taken_up_too, OPTIMIZE_LAYER,
                        OPTIMIZE_NETWORK + 1);
    tcase_add_loop_test(tcase, a_run_that_is_taken_up_shares, 1, LAYERS + EPOCHS + 1);
    tcase_add_loop_test(tcase, what_is_of_another_run_is_not_taken_up, 0,
                        (int)(sizeof(strangers) / sizeof(strangers[0])));
    tcase_add_test(tcase, an_interval_makes_checkpoints_rarer);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
