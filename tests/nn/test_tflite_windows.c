#include "support.h"
#include "tflite_build.h"
#include "tflite_run.h"

#include <math.h>

/* Convolutions and pools from TFLite files, against definitions written out here on N H W C images.
 */

enum {
    AVERAGE_POOL = 1,
    CONV = 3,
    DEPTHWISE = 4,
    MAX_POOL = 17,
};
enum { SAME = 0, VALID = 1 };

static struct build_model model;

static void setup(void)
{
    model = (struct build_model){.tensor_count = 0};
}

/* A window over images: extents of one axis, and where the window of an output starts. */
struct axis {
    int in, out, kernel, stride, dilation, before;
};

/* tensorflow.org/api_docs/python/tf/nn, "Notes on padding". */
static struct axis place(int padding, int in, int kernel, int stride, int dilation)
{
    int effective = (kernel - 1) * dilation + 1;
    struct axis axis = {.in = in, .kernel = kernel, .stride = stride, .dilation = dilation};
    axis.out = padding == SAME ? (in + stride - 1) / stride : (in - effective) / stride + 1;
    int total = (axis.out - 1) * stride + effective - in;
    axis.before = padding == SAME && total > 0 ? total / 2 : 0;
    return axis;
}

/* The place in the image of element `r` of the window of output `y`; −1 outside of it. */
static int locate(const struct axis *axis, int y, int r)
{
    int at = y * axis->stride + r * axis->dilation - axis->before;
    return at < axis->in ? at : -1;
}

enum { H = 5, W = 6, C = 4, R = 3, S = 2 };

/* One output of a convolution: filters are K R S C/G, the image H W C. */
static double conv_at(const float *image, const float *filter, const struct axis *h,
                      const struct axis *w, int groups, int filters, const int place_at[3])
{
    int channels = C / groups, k = place_at[2], group = k / (filters / groups);
    double sum = 0;
    for (int r = 0; r < R; r++) {
        for (int s = 0; s < S; s++) {
            int y = locate(h, place_at[0], r), x = locate(w, place_at[1], s);
            for (int c = 0; y >= 0 && x >= 0 && c < channels; c++)
                sum += (double)image[(y * W + x) * C + group * channels + c] *
                       (double)filter[((k * R + r) * S + s) * channels + c];
        }
    }
    return sum;
}

/* padding, stride, dilation, groups by the bits of _i */
START_TEST(convolutions_follow_their_definition)
{
    enum { K = 6 };
    int padding = _i & 1, stride = _i & 2 ? 2 : 1, dilation = _i & 4 ? 2 : 1;
    int groups = _i & 8 ? 2 : 1;
    float image[RUN_SAMPLES * H * W * C], filter[K * R * S * C], bias[K], out[RUN_VALUES_MAX];
    tflite_fill(image, RUN_SAMPLES * H * W * C);
    tflite_fill(filter, K * R * S * C / groups);
    tflite_fill(bias, K);
    struct axis h = place(padding, H, R, stride, dilation);
    struct axis w = place(padding, W, S, stride, dilation);
    int x = build_activation(&model, SHAPE_OF(1, H, W, C));
    int weights = build_constant(&model, SHAPE_OF(K, R, S, C / groups), filter);
    int biases = build_constant(&model, SHAPE_OF(K), bias);
    struct build_operator *conv =
        build_add_operator(&model, CONV, build_activation(&model, SHAPE_OF(1, h.out, w.out, K)), x,
                           weights, biases);
    build_set_integer(conv, 1, 0, 1, padding);
    build_set_integer(conv, 1, 1, 4, stride);
    build_set_integer(conv, 1, 2, 4, stride);
    build_set_integer(conv, 1, 4, 4, dilation);
    build_set_integer(conv, 1, 5, 4, dilation);
    int count = tflite_run(&model, image, out);
    ck_assert_int_eq(count, h.out * w.out * K);
    for (int i = 0; i < RUN_SAMPLES * count; i++) {
        int at[3] = {i % count / K / w.out, i / K % w.out, i % K};
        const float *sample = image + i / count * (H * W * C);
        tflite_check_value((double)out[i],
                           conv_at(sample, filter, &h, &w, groups, K, at) + (double)bias[at[2]], i);
    }
}
END_TEST

/* padding, stride, multiplier by the bits of _i; filters are 1 R S K, with ReLU6 fused */
START_TEST(depthwise_convolutions_follow_their_definition)
{
    int padding = _i & 1, stride = _i & 2 ? 2 : 1, multiplier = _i & 4 ? 2 : 1;
    int filters = C * multiplier;
    float image[RUN_SAMPLES * H * W * C], filter[R * S * C * 2], out[RUN_VALUES_MAX];
    tflite_fill(image, RUN_SAMPLES * H * W * C);
    tflite_fill(filter, R * S * filters);
    struct axis h = place(padding, H, R, stride, 1), w = place(padding, W, S, stride, 1);
    int x = build_activation(&model, SHAPE_OF(1, H, W, C));
    int weights = build_constant(&model, SHAPE_OF(1, R, S, filters), filter);
    struct build_operator *conv =
        build_add_operator(&model, DEPTHWISE,
                           build_activation(&model, SHAPE_OF(1, h.out, w.out, filters)), x, weights,
                           BUILD_NO_INPUT);
    build_set_integer(conv, 2, 0, 1, padding);
    build_set_integer(conv, 2, 1, 4, stride);
    build_set_integer(conv, 2, 2, 4, stride);
    build_set_integer(conv, 2, 3, 4, multiplier);
    build_set_integer(conv, 2, 4, 1, 3);
    int count = tflite_run(&model, image, out);
    for (int i = 0; i < RUN_SAMPLES * count; i++) {
        int k = i % filters, y = i % count / filters / w.out, column = i / filters % w.out;
        double sum = 0;
        for (int r = 0; r < R; r++) {
            for (int s = 0; s < S; s++) {
                int row = locate(&h, y, r), at = locate(&w, column, s);
                if (row >= 0 && at >= 0)
                    sum += (double)image[((i / count * H + row) * W + at) * C + k / multiplier] *
                           (double)filter[(r * S + s) * filters + k];
            }
        }
        tflite_check_value((double)out[i], fmin(fmax(sum, 0), 6), i);
    }
}
END_TEST

/* padding and kind by the bits of _i. Averages are over what is inside of the image. */
START_TEST(pools_follow_their_definition)
{
    int padding = _i & 1;
    bool average = _i & 2;
    float image[RUN_SAMPLES * H * W * C], out[RUN_VALUES_MAX];
    tflite_fill(image, RUN_SAMPLES * H * W * C);
    struct axis h = place(padding, H, R, 2, 1), w = place(padding, W, S, 1, 1);
    int x = build_activation(&model, SHAPE_OF(1, H, W, C));
    struct build_operator *pool =
        build_add_operator(&model, average ? AVERAGE_POOL : MAX_POOL,
                           build_activation(&model, SHAPE_OF(1, h.out, w.out, C)), x,
                           BUILD_NO_INPUT, BUILD_NO_INPUT);
    const int values[] = {1, 2, S, R}; /* strides and window, widths first */
    build_set_integer(pool, 5, 0, 1, padding);
    for (int i = 0; i < 4; i++)
        build_set_integer(pool, 5, 1 + i, 4, values[i]);
    int count = tflite_run(&model, image, out);
    for (int i = 0; i < RUN_SAMPLES * count; i++) {
        int c = i % C, y = i % count / C / w.out, column = i / C % w.out, inside = 0;
        double sum = 0, largest = -HUGE_VAL;
        for (int r = 0; r < R; r++) {
            for (int s = 0; s < S; s++) {
                int row = locate(&h, y, r), at = locate(&w, column, s);
                if (row < 0 || at < 0)
                    continue;
                double value = (double)image[((i / count * H + row) * W + at) * C + c];
                sum += value;
                largest = fmax(largest, value);
                inside++;
            }
        }
        tflite_check_value((double)out[i], average ? sum / inside : largest, i);
    }
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("tflite_windows");
    tcase_add_checked_fixture(cases, setup, NULL);
    tcase_add_loop_test(cases, convolutions_follow_their_definition, 0, 16);
    tcase_add_loop_test(cases, depthwise_convolutions_follow_their_definition, 0, 8);
    tcase_add_loop_test(cases, pools_follow_their_definition, 0, 4);
    Suite *suite = suite_create("tflite_windows");
    suite_add_tcase(suite, cases);
    return support_run(suite);
}
