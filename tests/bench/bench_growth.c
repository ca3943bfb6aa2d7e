/* How the time of a layer-wise run (grid, 4 bits) grows with calibration samples, width and image
 * side, on generated networks with random data: CPU seconds, exponents fitted to them (least
 * squares on logarithms), and a plot. Growth with the side is counted in pixels.
 *
 *     growth    network  axis  value  seconds
 *     exponent  network  axis  step  fitted  end       `end`: between the last two values, where
 *                                                      what does not grow weighs least
 *     plot      text
 */

#include "generated_networks.h"
#include "measure.h"
#include "random_data.h"
#include "support.h"
#include "variant.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { POINTS_MAX = 8, SHORT_POINTS = 2, CLASSES = 10 };

static const struct variant variant = {.method = "grid", .bits = 4, .bias = BIAS_NONE};

/* One size of the problem. */
struct size {
    double width;
    int64_t side, samples;
};

enum axis { AXIS_SAMPLES, AXIS_WIDTH, AXIS_SIDE };
static const char *const axis_names[] = {"samples", "width", "side"};

struct growth {
    const char *network;
    struct graph *(*create)(struct arena *arena, const struct generated_options *options);
    enum axis axis;
    struct size base;           /* with the axis at its place in `values` */
    int64_t values[POINTS_MAX]; /* up to the first 0 */
};

static const struct growth growths[] = {
    {"ResNet-8",
     generated_resnet8,
     AXIS_SAMPLES,
     {.width = 1.0, .side = 16},
     {128, 256, 512, 1024, 2048, 4096, 8192}},
    {"ResNet-8", generated_resnet8, AXIS_WIDTH, {.side = 16, .samples = 256}, {1, 2, 4}},
    {"ResNet-8",
     generated_resnet8,
     AXIS_SIDE,
     {.width = 1.0, .samples = 32},
     {32, 64, 96, 128, 224}},
    {"MobileNetV2",
     generated_mobilenet_v2,
     AXIS_SIDE,
     {.width = 0.35, .samples = 32},
     {32, 64, 96, 128, 224}},
};

static struct size size_at(const struct growth *growth, int point)
{
    struct size size = growth->base;
    switch (growth->axis) {
    case AXIS_SAMPLES:
        size.samples = growth->values[point];
        break;
    case AXIS_WIDTH:
        size.width = (double)growth->values[point];
        break;
    case AXIS_SIDE:
        size.side = growth->values[point];
        break;
    }
    return size;
}

/* What the time is compared with: pixels for the side. */
static double amount(const struct growth *growth, int point)
{
    double value = (double)growth->values[point];
    return growth->axis == AXIS_SIDE ? value * value : value;
}

static bool run_size(const struct growth *growth, const struct size *size,
                     struct variant_result *out_result, struct error *err)
{
    struct arena *arena = arena_create(0);
    const struct generated_options options = {
        .width = size->width, .side = size->side, .classes = CLASSES, .seed = 1};
    const struct graph *graph = growth->create(arena, &options);
    const struct dataset *data = random_data_create(arena, graph, size->samples, 1);
    bool done = variant_run(&variant, graph, data, NULL, out_result, err);
    arena_destroy(arena);
    return done;
}

/* ---- exponents ---- */

/* The slope of log(seconds) over log(amount), by least squares. */
static double slope(const double *amounts, const double *seconds, int count)
{
    double x = 0.0, y = 0.0, xx = 0.0, xy = 0.0;
    for (int i = 0; i < count; i++) {
        x += log(amounts[i]) / count;
        y += log(seconds[i]) / count;
    }
    for (int i = 0; i < count; i++) {
        xx += (log(amounts[i]) - x) * (log(amounts[i]) - x);
        xy += (log(amounts[i]) - x) * (log(seconds[i]) - y);
    }
    return xy / xx;
}

static void print_exponent(const struct growth *growth, const char *step, const double *amounts,
                           const double *seconds, int count)
{
    printf("exponent\t%s\t%s\t%s\t%.2f\t%.2f\n", growth->network, axis_names[growth->axis], step,
           slope(amounts, seconds, count), slope(amounts + count - 2, seconds + count - 2, 2));
}

/* ---- plot ---- */

enum { PLOT_WIDTH = 56, PLOT_HEIGHT = 14 };

static int place(double value, double low, double high, int cells)
{
    return (int)lround((log(value) - log(low)) / (log(high) - log(low)) * (cells - 1));
}

/* Both axes logarithmic. Dots: linear growth from the first point. */
static void plot(const struct growth *growth, const double *amounts, const double *seconds,
                 int count)
{
    char cells[PLOT_HEIGHT][PLOT_WIDTH + 1];
    double least = amounts[0], most = amounts[count - 1];
    double bottom = seconds[0], top = seconds[0] * most / least;
    for (int i = 0; i < count; i++) {
        bottom = fmin(bottom, seconds[i]);
        top = fmax(top, seconds[i]);
    }
    for (int row = 0; row < PLOT_HEIGHT; row++) {
        memset(cells[row], ' ', PLOT_WIDTH);
        cells[row][PLOT_WIDTH] = '\0';
    }
    for (int column = 0; column < PLOT_WIDTH; column++) {
        double linear = seconds[0] * pow(most / least, (double)column / (PLOT_WIDTH - 1));
        cells[place(linear, bottom, top, PLOT_HEIGHT)][column] = '.';
    }
    for (int i = 0; i < count; i++)
        cells[place(seconds[i], bottom, top, PLOT_HEIGHT)]
             [place(amounts[i], least, most, PLOT_WIDTH)] = '*';
    printf("plot\t%s: CPU seconds over %s; dots: linear\n", growth->network,
           growth->axis == AXIS_SIDE ? "pixels" : axis_names[growth->axis]);
    for (int row = PLOT_HEIGHT - 1; row >= 0; row--)
        printf("plot\t%9.3g |%s\n", bottom * pow(top / bottom, (double)row / (PLOT_HEIGHT - 1)),
               cells[row]);
    printf("plot\t%9s +", "");
    for (int column = 0; column < PLOT_WIDTH; column++)
        putchar('-');
    printf("\nplot\t%9s  %-*.6g%*.6g\n", "", PLOT_WIDTH / 2, least, PLOT_WIDTH / 2, most);
}

/* ---- a series ---- */

static bool bench(const struct growth *growth, struct error *err)
{
    struct variant_result results[POINTS_MAX];
    double amounts[POINTS_MAX], seconds[POINTS_MAX];
    int count = 0;
    for (; count < POINTS_MAX && growth->values[count] > 0; count++) {
        struct size size = size_at(growth, count);
        if (support_short() && count == SHORT_POINTS)
            break;
        if (!run_size(growth, &size, &results[count], err))
            return false;
        amounts[count] = amount(growth, count);
        seconds[count] = results[count].seconds;
        printf("growth\t%s\t%s\t%lld\t%.6g\n", growth->network, axis_names[growth->axis],
               (long long)growth->values[count], seconds[count]);
        (void)fflush(stdout); /* each run as it is done */
    }
    print_exponent(growth, "all", amounts, seconds, count);
    plot(growth, amounts, seconds, count);
    for (int step = 0; step < results[0].step_count; step++) {
        for (int i = 0; i < count; i++)
            seconds[i] = results[i].steps[step].seconds;
        print_exponent(growth, results[0].steps[step].name, amounts, seconds, count);
    }
    return true;
}

int main(void)
{
    for (size_t i = 0; i < sizeof(growths) / sizeof(growths[0]); i++) {
        struct error err = {.message = ""};
        if (support_short() && growths[i].create != generated_mobilenet_v2)
            continue; /* the smaller one */
        if (!bench(&growths[i], &err))
            return measure_failed("bench_growth", growths[i].network, &err);
    }
    return 0;
}
