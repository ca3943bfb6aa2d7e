#include "ptqd/recon/augment.h"

#include "sketch.h"
#include "support.h"

static struct arena *arena;
static struct rng rng;

static void setup(void)
{
    arena = arena_create(0);
    rng_init(&rng, 1, 0);
}

static void teardown(void)
{
    arena_destroy(arena);
}

static struct augmenter augmenter_of(struct graph *graph, double shift, double mix)
{
    struct augmenter augmenter;
    struct augment_options options = {.shift = shift, .mix = mix};
    augmenter_init(graph, &options, &augmenter);
    return augmenter;
}

enum { C = 2, H = 3, W = 10 };

static struct graph *image_network(void)
{
    struct sketch s;
    sketch_init(&s, arena, 13);
    int x = sketch_input(&s, "input", SKETCH(1, C, H, W));
    return sketch_finish(&s, sketch_conv(&s, "conv", x, 4, C, SKETCH(3, 3)));
}

START_TEST(only_spatial_axes_are_shifted)
{
    struct augmenter image = augmenter_of(image_network(), 0.4, 0.0);
    ck_assert_int_eq(image.rank, 3);
    ck_assert_int_eq(image.reach[0], 0); /* channels */
    ck_assert_int_eq(image.reach[1], 1);
    ck_assert_int_eq(image.reach[2], 4);

    struct sketch s;
    sketch_init(&s, arena, 13);
    int x = sketch_input(&s, "input", SKETCH(1, 20));
    struct augmenter vector =
        augmenter_of(sketch_finish(&s, sketch_node(&s, "Relu", "y", x, SKETCH_END)), 0.4, 0.0);
    ck_assert_int_eq(vector.reach[0], 0);
}
END_TEST

/* Law: a shifted sample is the sample at moved indices, both channels alike, the edge repeated. */
START_TEST(a_shift_moves_and_repeats_the_edge)
{
    struct augmenter augmenter = augmenter_of(image_network(), 0.4, 0.0);
    bool moved = false;
    for (int trial = 0; trial < 20; trial++) {
        float sample[C * H * W];
        for (int i = 0; i < C * H * W; i++)
            sample[i] = (float)i;
        augmenter_apply(&augmenter, &rng, 1, sample);
        int matches = 0;
        for (int dh = -1; dh <= 1; dh++)
            for (int dw = -4; dw <= 4; dw++) {
                bool same = true;
                for (int i = 0; same && i < C * H * W; i++) {
                    int c = i / (H * W), h = i / W % H - dh, w = i % W - dw;
                    h = h < 0 ? 0 : h >= H ? H - 1 : h;
                    w = w < 0 ? 0 : w >= W ? W - 1 : w;
                    same = sample[i] == (float)((c * H + h) * W + w);
                }
                matches += same;
                moved |= same && (dh != 0 || dw != 0);
            }
        ck_assert_int_eq(matches, 1);
    }
    ck_assert(moved);
}
END_TEST

/* Law: a mixed sample lies between two, nearer to its own. With samples that are constant 0 and 1
 * every value is the share of the other. */
START_TEST(a_mixed_sample_is_at_least_half_itself)
{
    enum { COUNT = 256 };
    struct augmenter augmenter = augmenter_of(image_network(), 0.0, 1.0);
    float samples[COUNT * C * H * W];
    bool mixed = false;
    for (int i = 0; i < COUNT * C * H * W; i++)
        samples[i] = (float)(i / (C * H * W) % 2);
    augmenter_apply(&augmenter, &rng, COUNT, samples);
    for (int i = 0; i < COUNT; i++) {
        const float *sample = samples + i * C * H * W;
        float own = i % 2 ? sample[0] : 1.0f - sample[0];
        ck_assert_double_ge((double)own, 0.499);
        mixed |= own < 1.0f;
        for (int j = 1; j < C * H * W; j++)
            ck_assert(sample[j] == sample[0]);
    }
    ck_assert(mixed);
}
END_TEST

/* Law: an image is mirrored about half of the time, left to right alone; what is no image never. */
START_TEST(images_are_mirrored)
{
    enum { COUNT = 64 };
    for (int channels = 2; channels <= 3; channels++) {
        struct sketch s;
        sketch_init(&s, arena, 13);
        int x = sketch_input(&s, "input", SKETCH(1, channels, H, W)), mirrored = 0;
        struct graph *graph =
            sketch_finish(&s, sketch_conv(&s, "conv", x, 4, channels, SKETCH(3, 3)));
        struct augmenter augmenter;
        struct augment_options options = {.mirror = true};
        float samples[COUNT * 3 * H * W];
        int elements = channels * H * W;
        augmenter_init(graph, &options, &augmenter);
        for (int i = 0; i < COUNT * elements; i++)
            samples[i] = (float)(i % elements);
        augmenter_apply(&augmenter, &rng, COUNT, samples);
        for (int i = 0; i < COUNT; i++) {
            bool turned = samples[i * elements] != 0.0f;
            mirrored += turned;
            for (int j = 0; j < elements; j++) {
                int from = turned ? j / W * W + W - 1 - j % W : j;
                ck_assert(samples[i * elements + j] == (float)from);
            }
        }
        ck_assert_int_ge(mirrored, channels == 3 ? COUNT / 4 : 0);
        ck_assert_int_le(mirrored, channels == 3 ? COUNT * 3 / 4 : 0);
    }
}
END_TEST

START_TEST(without_options_samples_stay_as_they_are)
{
    struct augmenter augmenter = augmenter_of(image_network(), 0.0, 0.0);
    float sample[C * H * W];
    for (int i = 0; i < C * H * W; i++)
        sample[i] = (float)i;
    augmenter_apply(&augmenter, &rng, 1, sample);
    for (int i = 0; i < C * H * W; i++)
        ck_assert(sample[i] == (float)i);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("augment");
    TCase *tcase = tcase_create("laws");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, only_spatial_axes_are_shifted);
    tcase_add_test(tcase, a_shift_moves_and_repeats_the_edge);
    tcase_add_test(tcase, a_mixed_sample_is_at_least_half_itself);
    tcase_add_test(tcase, images_are_mirrored);
    tcase_add_test(tcase, without_options_samples_stay_as_they_are);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
