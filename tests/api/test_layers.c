/* The layers of a run: sensitivity in the stored result, and the table that names what breaks. */

#include "ptqd/api/layers.h"

#include "ptqd/api/result.h"
#include "ptqd/flow/sensitivity.h"

#include "support.h"

#include <math.h>
#include <string.h>

enum { LAYERS = 2, ACTIVATIONS = 3 };

static struct arena *arena;
static struct error err;
static struct sensitivity_effect weights[LAYERS], activations[ACTIVATIONS];
static struct sensitivity sensitivity;
static struct quant_layer quant_layers[LAYERS];
static struct quant_activation quant_activations[ACTIVATIONS];
static struct quant_network network;
static struct cost_layer cost_layers[LAYERS];
static struct run_layer layers[LAYERS];
static struct run_result result;

static struct sensitivity_effect effect(double drop, double db)
{
    return (struct sensitivity_effect){
        .accuracy_drop = drop, .agreement = 0.9, .output_sqnr_db = db, .divergence = 0.01};
}

/* Two layers; the second's input stays in float, the third activation goes into a sum only. */
static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
    weights[0] = effect(0.01, 20);
    weights[1] = effect(0.02, 15);
    activations[0] = effect(0, HUGE_VAL);
    activations[1] = effect((double)NAN, (double)NAN);
    activations[1].agreement = (double)NAN;
    activations[2] = effect(0.0898, 9.25);
    sensitivity = (struct sensitivity){
        .on_evaluation = true,
        .samples = 512,
        .float_accuracy = 0.95,
        .layer_count = LAYERS,
        .activation_count = ACTIVATIONS,
        .weights = weights,
        .activations = activations,
        .worst_part = SENSITIVE_ACTIVATION,
        .worst = 2,
    };
    static const char *const names[LAYERS] = {"stem", "dense"};
    for (int i = 0; i < LAYERS; i++) {
        quant_layers[i] = (struct quant_layer){.name = names[i], .activation = i == 0 ? 0 : -1};
        cost_layers[i] =
            (struct cost_layer){.name = names[i], .op = "Conv", .weight_bits = 4, .input_bits = 8};
        layers[i] = (struct run_layer){.name = names[i],
                                       .op = "Conv",
                                       .weight_sqnr_db = 22.5,
                                       .input_sqnr_db = HUGE_VAL,
                                       .output_sqnr_before_db = 11,
                                       .output_sqnr_after_db = 12,
                                       .output_sqnr_final_db = 13};
    }
    quant_activations[2].name = "branch";
    network = (struct quant_network){.layers = quant_layers,
                                     .layer_count = LAYERS,
                                     .activations = quant_activations,
                                     .activation_count = ACTIVATIONS};
    result = (struct run_result){.sensitivity = &sensitivity,
                                 .cost = {.layers = cost_layers, .layer_count = LAYERS},
                                 .layers = layers,
                                 .layer_count = LAYERS,
                                 .network = &network};
}

static void teardown(void)
{
    arena_destroy(arena);
}

static const struct json *stored(void)
{
    struct json *object;
    const char *text = result_print(&result, arena, &err);
    ck_assert_ok(text != NULL, &err);
    ck_assert_ok(json_parse(arena, text, strlen(text), NULL, &object, &err), &err);
    return object;
}

static const char *table(void)
{
    struct text text;
    text_init(&text, 1 << 20);
    ck_assert_ok(layers_markdown(stored(), &text, &err), &err);
    const char *copy = text_dup(&text, arena, &err);
    text_finish(&text);
    return copy;
}

static void check_text(const char *text, const char *fragment)
{
    ck_assert_msg(support_contains(text, fragment), "\"%s\" is missing in\n%s", fragment, text);
}

static const char *print_member(const struct json *object, const char *key)
{
    return json_print_string(json_find(object, key), arena, NULL, &err);
}

START_TEST(the_result_has_what_each_quantizer_costs)
{
    struct json *object = json_object(arena);
    layers_add(object, stored());
    const struct json *first = json_first(json_find(object, "layers"));
    ck_assert_str_eq(print_member(first, "sensitivity"),
                     "{\"weights\":{\"accuracy_drop\":0.01,\"agreement\":0.9,\"output_sqnr_db\":20,"
                     "\"divergence\":0.01},\"input\":{\"accuracy_drop\":0,\"agreement\":0.9,"
                     "\"output_sqnr_db\":null,\"divergence\":0.01}}");
    const struct json *second = json_find(json_next(first), "sensitivity");
    ck_assert_int_eq(json_type(json_find(second, "input")), JSON_NULL);
    const struct json *whole = json_find(object, "sensitivity");
    ck_assert_str_eq(print_member(whole, "set"), "\"evaluation\"");
    ck_assert_str_eq(print_member(whole, "worst"), "{\"name\":\"branch\",\"part\":\"sum\"}");
    ck_assert_uint_eq(json_count(json_find(whole, "sums")), 1);
}
END_TEST

START_TEST(what_was_not_measured_is_not_there)
{
    struct json *object = json_object(arena);
    result.sensitivity = NULL;
    layers_add(object, stored());
    ck_assert_int_eq(json_type(json_find(object, "sensitivity")), JSON_NULL);
    ck_assert_ptr_null(json_find(json_first(json_find(object, "layers")), "sensitivity"));
    const char *text = table();
    check_text(text,
               "| dense | Conv | 4/8  | 22.5       | –        | 11.0      | 12.0   | 13.0  |\n");
    ck_assert(!support_contains(text, "only weights") && !support_contains(text, "breaks"));
}
END_TEST

/* Law: the table marks the worst quantizer, and the sentence below says which one it is, why and
 * what it costs: a sum's, a layer's weights, a layer's input. */
START_TEST(the_worst_is_marked_and_named)
{
    const char *text = table();
    check_text(text, "| 8.98, 9.2 dB <== worst |\n");
    check_text(text, "branch breaks the network most, by its quantizer in a sum: alone, that costs "
                     "8.98 points of accuracy and leaves 9.2 dB of the output.\n");
    sensitivity.worst_part = SENSITIVE_WEIGHTS;
    sensitivity.worst = 1;
    text = table();
    check_text(text, "| 2.00, 15.0 dB <== worst |");
    check_text(text, "dense breaks the network most, by its weights (4 bits): alone, that costs "
                     "2.00 points of accuracy and leaves 15.0 dB of the output.\n");
    sensitivity.worst_part = SENSITIVE_ACTIVATION;
    sensitivity.worst = 0;
    activations[0].output_sqnr_db = 5;
    text = table();
    check_text(text, "| 0.00, 5.0 dB <== worst |");
    check_text(text, "stem breaks the network most, by its input (8 bits):");
}
END_TEST

START_TEST(without_labels_changed_classes_are_told)
{
    sensitivity.on_evaluation = false;
    sensitivity.float_accuracy = (double)NAN;
    activations[2].accuracy_drop = (double)NAN;
    const char *text = table();
    check_text(text, "% of the samples that change their class and dB of the network's output, on "
                     "512 samples of the calibration set.\n");
    check_text(text, "alone, that changes the class of 10.00 % of the samples and leaves 9.2 dB");
}
END_TEST

START_TEST(when_nothing_changes_nothing_is_the_worst)
{
    sensitivity.worst_part = SENSITIVE_NONE;
    const char *text = table();
    check_text(text, "| 0.00, unchanged |");
    check_text(text, "No quantizer changes the output.\n");
    ck_assert(!support_contains(text, "worst |"));
}
END_TEST

/* Law: all lines of the table are equally wide, whatever the names; of a long one the end counts.
 */
START_TEST(the_table_is_aligned)
{
    quant_layers[0].name = cost_layers[0].name =
        "a/name/that/is/much/longer/than/the/column/and/ends/in/größe/conv_1";
    const char *text = table();
    check_text(text, "conv_1 |");
    check_text(text, "| …");
    size_t first = 0;
    for (const char *line = text; *line != '\n'; line = strchr(line, '\n') + 1) {
        size_t width = 0;
        for (const char *c = line; *c != '\n'; c++)
            width += ((unsigned char)*c & 0xc0) != 0x80;
        first = first == 0 ? width : first;
        ck_assert_uint_eq(width, first);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("layers");
    TCase *tcase = tcase_create("layers");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_result_has_what_each_quantizer_costs);
    tcase_add_test(tcase, what_was_not_measured_is_not_there);
    tcase_add_test(tcase, the_worst_is_marked_and_named);
    tcase_add_test(tcase, without_labels_changed_classes_are_told);
    tcase_add_test(tcase, when_nothing_changes_nothing_is_the_worst);
    tcase_add_test(tcase, the_table_is_aligned);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
