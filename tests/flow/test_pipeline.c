#include "ptqd/flow/pipeline.h"

#include "support.h"

#include "ptqd/recon/method.h"

#include "ptqd/artifact/artifact.h"
#include "ptqd/quant/observer.h"

#include <stdio.h>
#include <string.h>

static struct arena *arena;
static struct error err;
static struct pipeline pipeline;

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
    ck_assert_ok(param_defaults(pipeline_table(), arena, &pipeline, &err), &err);
}

static void teardown(void)
{
    arena_destroy(arena);
}

START_TEST(the_defaults_are_allowed)
{
    ck_assert_ok(pipeline_check(&pipeline, &err), &err);
}
END_TEST

/* Law: a default reads and prints as itself. */
START_TEST(every_default_is_read_and_printed_alike)
{
    const struct param_table *table = pipeline_table();
    for (size_t i = 0; i < table->count; i++) {
        const struct param *row = &table->rows[i];
        struct param_value value;
        char text[64];
        ck_assert_ok(param_parse(row, row->default_text, arena, &value, &err), &err);
        param_print(row, &value, text, sizeof(text));
        ck_assert_str_eq(text, row->default_text);
        struct param_value stored = param_load(row, &pipeline);
        ck_assert_msg(param_equal(&stored, &value), "%s", row->name);
        ck_assert_msg(row->help && row->unit, "%s", row->name);
    }
}
END_TEST

START_TEST(activations_follow_the_weights_unless_they_are_told)
{
    pipeline.weights.bits = 3;
    ck_assert_int_eq(pipeline_activation_bits(&pipeline), 3);
    pipeline.activations.bits = 6;
    ck_assert_int_eq(pipeline_activation_bits(&pipeline), 6);
}
END_TEST

/* Law: choices are the rows of the registries, in order; ranges of weights have one more. */
START_TEST(choices_are_the_registries)
{
    const struct param *weights = param_find(pipeline_table(), "weights.init");
    const struct param *activations = param_find(pipeline_table(), "activations.init");
    const struct param *artifacts = param_find(pipeline_table(), "artifacts");
    int count = 0;
    for (; observer_table()[count]; count++) {
        ck_assert_str_eq(weights->choices[count], observer_table()[count]->name);
        ck_assert_str_eq(activations->choices[count], observer_table()[count]->name);
    }
    ck_assert_ptr_null(activations->choices[count]);
    ck_assert_str_eq(weights->choices[count], "output");
    ck_assert_ptr_null(weights->choices[count + 1]);
    for (count = 0; artifact_format_table()[count]; count++)
        ck_assert_str_eq(artifacts->choices[count], artifact_format_table()[count]->name);
    ck_assert_ptr_null(artifacts->choices[count]);
}
END_TEST

/* Law: the number of samples alone is never at odds with the defaults. */
START_TEST(any_number_of_samples_will_do)
{
    for (pipeline.samples = 1; pipeline.samples < 128; pipeline.samples++)
        ck_assert_ok(pipeline_check(&pipeline, &err), &err);
}
END_TEST

START_TEST(narrow_asymmetric_weights_are_refused)
{
    pipeline.weights.narrow = true;
    ck_assert_ok(pipeline_check(&pipeline, &err), &err);
    pipeline.weights.scheme = SCHEME_ASYMMETRIC;
    ck_assert_fails(pipeline_check(&pipeline, &err), &err, E_INVALID,
                    "weights.narrow is true with weights.scheme \"asymmetric\"");
    ck_assert_str_eq(err.pointer, "/weights/narrow");
}
END_TEST

/* Law: blocks, the network and activations in the loop need a variable that can be trained; where
 * there is none the error says why, and layers alone are always allowed. */
START_TEST(what_cannot_be_trained_is_refused_with_the_reason)
{
    const struct method *const *methods = method_table();
    for (int i = 0; methods[i]; i++) {
        bool trains = methods[i]->trained != TRAIN_NOTHING;
        ck_assert(trains == (methods[i]->only_layers == NULL));
        pipeline.optimize.variable = i;
        pipeline.optimize.activations_in_loop = false;
        pipeline.optimize.granularity = OPTIMIZE_LAYER;
        ck_assert_ok(pipeline_check(&pipeline, &err), &err);
        for (int g = OPTIMIZE_LAYER; g <= OPTIMIZE_NETWORK; g++) {
            pipeline.optimize.granularity = g;
            pipeline.optimize.activations_in_loop = true;
            err = (struct error){.message = ""};
            if (trains) {
                ck_assert_ok(pipeline_check(&pipeline, &err), &err);
                continue;
            }
            ck_assert_fails(pipeline_check(&pipeline, &err), &err, E_INVALID,
                            methods[i]->only_layers);
            ck_assert_str_eq(err.pointer, "/optimize/variable");
        }
    }
}
END_TEST

/* Law: a method that solves layers and knows no zero points refuses them, of all layers or of some,
 * with the reason. */
START_TEST(zero_points_are_refused_with_the_reason)
{
    const struct method *const *methods = method_table();
    struct layer_rule rules[2] = {{.match = "a"}, {.match = "b"}};
    pipeline.rules = rules;
    pipeline.rule_count = 2;
    for (int i = 0; methods[i]; i++) {
        pipeline.optimize.variable = i;
        for (int place = 0; place < 2; place++) {
            pipeline.weights.scheme = place == 0 ? SCHEME_ASYMMETRIC : SCHEME_SYMMETRIC;
            rules[1].weights.scheme = place == 1 ? SCHEME_ASYMMETRIC : SCHEME_SYMMETRIC;
            err = (struct error){.message = ""};
            if (!methods[i]->only_symmetric) {
                ck_assert_ok(pipeline_check(&pipeline, &err), &err);
                continue;
            }
            ck_assert_fails(pipeline_check(&pipeline, &err), &err, E_INVALID,
                            methods[i]->only_symmetric);
            ck_assert_str_eq(err.pointer,
                             place == 0 ? "/weights/scheme" : "/layers/1/weights/scheme");
        }
    }
}
END_TEST

static void give(struct layer_rule *rule, const struct param *row)
{
    rule->given |= UINT64_C(1) << (row - layer_rule_table()->rows);
}

/* Law: a rule that skips layers and chooses something for them is refused with the choice, unless
 * a later rule takes the skip back; one that does not skip may choose everything. */
START_TEST(a_choice_for_skipped_layers_is_refused)
{
    const struct param_table *choices = layer_rule_table();
    const struct param *skip = param_find(choices, "skip");
    for (size_t i = 0; i < choices->count; i++) {
        const struct param *row = &choices->rows[i];
        bool chooses = strcmp(row->name, "match") != 0 && row != skip;
        struct layer_rule rules[3] = {{.match = "*"}, {.match = "a?"}, {.match = "a1"}};
        pipeline.rules = rules;
        pipeline.rule_count = 3;
        give(&rules[1], row);
        ck_assert_ok(pipeline_check(&pipeline, &err), &err);
        give(&rules[1], skip);
        ck_assert_ok(pipeline_check(&pipeline, &err), &err);
        rules[1].skip = true;
        if (!chooses) {
            ck_assert_ok(pipeline_check(&pipeline, &err), &err);
            continue;
        }
        err = (struct error){.message = ""};
        ck_assert_fails(pipeline_check(&pipeline, &err), &err, E_INVALID, row->name);
        ck_assert_msg(support_contains(err.message, "in the rule for 'a?'"), "%s", err.message);
        char pointer[ERROR_POINTER_BYTES];
        (void)snprintf(pointer, sizeof(pointer), "/layers/1/%s", row->name);
        *strchr(pointer, '.') = '/';
        ck_assert_str_eq(err.pointer, pointer);
        give(&rules[2], skip);
        ck_assert_ok(pipeline_check(&pipeline, &err), &err);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pipeline");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_defaults_are_allowed);
    tcase_add_test(tcase, every_default_is_read_and_printed_alike);
    tcase_add_test(tcase, activations_follow_the_weights_unless_they_are_told);
    tcase_add_test(tcase, choices_are_the_registries);
    tcase_add_test(tcase, any_number_of_samples_will_do);
    tcase_add_test(tcase, narrow_asymmetric_weights_are_refused);
    tcase_add_test(tcase, what_cannot_be_trained_is_refused_with_the_reason);
    tcase_add_test(tcase, zero_points_are_refused_with_the_reason);
    tcase_add_test(tcase, a_choice_for_skipped_layers_is_refused);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
