/* BitSplit against trying every ternary value. */

#include "golden_layer.h"
#include "support.h"

#include "golden/bit_split.h"
#include "ptqd/recon/method.h"

static struct arena *arena;
static struct error err;

static void setup(void)
{
    arena = arena_create(0);
    err = (struct error){.message = ""};
}

static void teardown(void)
{
    arena_destroy(arena);
}

START_TEST(codes_and_scales_are_those_of_trying)
{
    const float start[GOLDEN_K] = {1.0f, 1.0f, 1.0f, 1.0f};
    const struct recon_monitor nobody = {0};
    struct method_options options = {.effort = 1.0};
    struct golden_layer golden;
    struct golden_data data = {
        .positions = GOLDEN_POSITIONS,
        .K = GOLDEN_K,
        .D = GOLDEN_D,
        .inputs = golden_inputs,
        .weights = golden_weights,
        .targets = golden_targets,
        .bits = golden_widths[_i],
        .scales = start,
    };
    golden_layer_init(&golden, arena, &data);
    ck_assert_ok(method_find("bits")->solve(&golden.problem, &options, &nobody, arena,
                                            &golden.layer, &err),
                 &err);
    for (int i = 0; i < GOLDEN_K * GOLDEN_D; i++)
        ck_assert_int_eq(golden.layer.codes[i], golden_codes[_i][i]);
    for (int k = 0; k < GOLDEN_K; k++)
        ck_assert_double_eq_tol((double)golden.layer.quantizer.scales[k], golden_scales[_i][k],
                                1e-6);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bits");
    TCase *tcase = tcase_create("golden");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, codes_and_scales_are_those_of_trying, 0, GOLDEN_WIDTHS);
    suite_add_tcase(suite, tcase);
    return support_run(suite);
}
