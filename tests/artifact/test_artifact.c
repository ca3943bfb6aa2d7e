/* The artifacts of a run together, and their manifest. */

#include "ptqd/artifact/artifact.h"

#include "sketch.h"
#include "support.h"

#include <string.h>

static struct arena *arena;
static struct error err;

static void setup(void)
{
    arena = arena_create(0);
}

static void teardown(void)
{
    arena_destroy(arena);
}

/* One convolution on an input whose name has to be escaped, per channel. */
static struct quant_network *make_wide(int bits, bool symmetric_weights)
{
    struct sketch sketch;
    sketch_init(&sketch, arena, 13);
    int x = sketch_input(&sketch, "in\"put\\1\n", SKETCH(1, 2, 4, 4));
    struct graph *folded =
        sketch_finish(&sketch, sketch_conv(&sketch, "conv", x, 2, 2, SKETCH(3, 3)));
    struct quant_options options = {.weights = {.bits = bits, .symmetric = symmetric_weights},
                                    .activations = {.bits = bits},
                                    .input_bits = 8,
                                    .per_channel = true};
    struct quant_network *network;
    ck_assert_ok(quant_network_create(arena, folded, &options, &network, &err), &err);
    return network;
}

static struct quant_network *calibrate(struct quant_network *network)
{
    ck_assert_ok(quantizer_set_range(&network->activations[0].quantizer, 0, -1.0, 1.55, &err),
                 &err);
    for (int64_t k = 0; k < 2; k++)
        ck_assert_ok(quantizer_set_range(&network->layers[0].quantizer, k, -0.75, 0.75, &err),
                     &err);
    quant_layer_round(&network->layers[0]);
    return network;
}

static struct quant_network *make_network(void)
{
    return calibrate(make_wide(3, true));
}

static const struct artifact_origin origin = {
    .program_version = "1.2.3",
    .model = "sha256:ab",
    .calibration = "sha256:cd",
    .variant = "{\"weights\":{\"bits\":3}}",
    .seed = UINT64_MAX,
};

static void write_all(uint64_t formats, struct artifact **out_artifacts, int *out_count)
{
    ck_assert_ok(artifact_write_all(arena, make_network(), &origin, formats, out_artifacts,
                                    out_count, &err),
                 &err);
}

START_TEST(every_format_has_a_name_a_sentence_and_a_packing)
{
    const struct artifact_format *const *table = artifact_format_table();
    ck_assert_ptr_nonnull(table[0]);
    for (int i = 0; table[i]; i++) {
        ck_assert_uint_gt(strlen(table[i]->name), 0);
        ck_assert_uint_gt(strlen(table[i]->help), 0);
        ck_assert_uint_gt(strlen(table[i]->packing), 0);
    }
    ck_assert_str_eq(table[0]->name, "onnx");
}
END_TEST

START_TEST(the_digest_is_that_of_the_bytes)
{
    struct artifact *artifacts;
    int count;
    write_all(1, &artifacts, &count);
    ck_assert_int_eq(count, 2);
    ck_assert_str_eq(artifacts[0].name, "model.onnx");
    ck_assert_str_eq(artifacts[1].name, "manifest.json");
    for (int i = 0; i < count; i++) {
        char hex[DIGEST_HEX_BYTES];
        ck_assert_ok(digest_bytes(artifacts[i].bytes, artifacts[i].size, hex, &err), &err);
        ck_assert_str_eq(artifacts[i].sha256, hex);
    }
}
END_TEST

START_TEST(the_manifest_says_where_the_network_came_from)
{
    struct artifact *artifacts;
    int count;
    write_all(1, &artifacts, &count);
    const char *manifest = (const char *)artifacts[1].bytes;
    static const char *const parts[] = {
        "\"program_version\": \"1.2.3\"",
        "\"model\": \"sha256:ab\"",
        "\"calibration\": \"sha256:cd\"",
        "\"evaluation\": null",
        "\"seed\": 18446744073709551615",
        "\"variant\": {\"weights\":{\"bits\":3}}",
        "{\"name\": \"in\\\"put\\\\1\\n\", \"bits\": 8, \"scheme\": \"asymmetric\", "
        "\"low\": 0, \"high\": 255, \"scale\": 0.00999999978, \"zero_point\": 100}",
        "{\"name\": \"conv\", \"input\": \"in\\\"put\\\\1\\n\", \"bits\": 3, \"scheme\": "
        "\"symmetric\", \"low\": -4, \"high\": 3, \"granularity\": \"channel\", "
        "\"scale_count\": 2, \"scales\": [0.25, 0.25]}",
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        ck_assert_msg(support_contains(manifest, parts[i]), "%s lacks %s", manifest, parts[i]);
    ck_assert(support_contains(manifest, artifacts[0].sha256));
}
END_TEST

START_TEST(the_manifest_says_what_stays_in_float)
{
    struct artifact *artifacts;
    int count;
    ck_assert_ok(
        artifact_write_all(arena, make_wide(32, true), &origin, 1, &artifacts, &count, &err), &err);
    const char *manifest = (const char *)artifacts[1].bytes;
    ck_assert(support_contains(manifest, "\"activations\": []"));
    ck_assert(support_contains(manifest, "{\"name\": \"conv\", \"input\": null, \"bits\": 32}"));
}
END_TEST

START_TEST(the_manifest_has_the_zero_points_of_asymmetric_weights)
{
    struct artifact *artifacts;
    int count;
    struct quant_network *network = calibrate(make_wide(3, false));
    ck_assert_ok(quantizer_set_range(&network->layers[0].quantizer, 1, -0.5, 1.25, &err), &err);
    ck_assert_ok(quantizer_set_range(&network->layers[0].quantizer, 0, 0.0, 1.75, &err), &err);
    ck_assert_ok(artifact_write_all(arena, network, &origin, 1, &artifacts, &count, &err), &err);
    ck_assert(support_contains((const char *)artifacts[1].bytes,
                               "\"scheme\": \"asymmetric\", \"low\": -4, \"high\": 3, "
                               "\"granularity\": \"channel\", \"scale_count\": 2, \"scales\": "
                               "[0.25, 0.25], \"zero_points\": [-4, -2]}"));
}
END_TEST

START_TEST(without_formats_there_is_the_manifest_alone)
{
    struct artifact *artifacts;
    int count;
    write_all(0, &artifacts, &count);
    ck_assert_int_eq(count, 1);
    ck_assert(support_contains((const char *)artifacts[0].bytes, "\"artifacts\": []"));
}
END_TEST

START_TEST(the_same_network_gives_the_same_bytes)
{
    struct artifact *first, *second;
    int count;
    write_all(1, &first, &count);
    write_all(1, &second, &count);
    for (int i = 0; i < count; i++)
        ck_assert_str_eq(first[i].sha256, second[i].sha256);
}
END_TEST

START_TEST(a_network_that_was_not_calibrated_is_refused)
{
    struct artifact *artifacts;
    int count;
    ck_assert_fails(artifact_write_all(arena, make_wide(3, true), &origin, 0, &artifacts, &count,
                                       &err),
                    &err, E_INVALID, "was not calibrated");
}
END_TEST

static bool write_into(struct arena *failing, void *network, struct error *error)
{
    struct artifact *artifacts;
    int count;
    return artifact_write_all(failing, network, &origin, 1, &artifacts, &count, error);
}

START_TEST(running_out_of_memory_is_reported)
{
    ck_assert_uint_gt(support_fail_each_allocation(write_into, make_network()), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("artifact");
    TCase *tests = tcase_create("artifact");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, every_format_has_a_name_a_sentence_and_a_packing);
    tcase_add_test(tests, the_digest_is_that_of_the_bytes);
    tcase_add_test(tests, the_manifest_says_where_the_network_came_from);
    tcase_add_test(tests, the_manifest_says_what_stays_in_float);
    tcase_add_test(tests, the_manifest_has_the_zero_points_of_asymmetric_weights);
    tcase_add_test(tests, without_formats_there_is_the_manifest_alone);
    tcase_add_test(tests, the_same_network_gives_the_same_bytes);
    tcase_add_test(tests, a_network_that_was_not_calibrated_is_refused);
    tcase_add_test(tests, running_out_of_memory_is_reported);
    suite_add_tcase(suite, tests);
    return support_run(suite);
}
