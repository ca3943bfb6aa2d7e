#include "loss_curve.h"

#include "support.h"

#include "ptqd/recon/sample_order.h"

#include <math.h>

static void record(void *context, int64_t iteration, double loss)
{
    struct loss_curve *curve = context;
    (void)iteration; /* they follow each other */
    ck_assert_int_lt(curve->count, LOSS_CURVE_MOST);
    curve->losses[curve->count++] = loss;
}

struct recon_monitor loss_curve_monitor(struct loss_curve *curve)
{
    curve->count = 0;
    return (struct recon_monitor){.record = record, .context = curve};
}

void loss_curve_check_close(const struct loss_curve *actual, const struct loss_curve *expected,
                            double tolerance)
{
    ck_assert_int_eq(actual->count, expected->count);
    for (int i = 0; i < expected->count; i++)
        ck_assert_msg(fabs(actual->losses[i] - expected->losses[i]) <=
                          tolerance * fabs(expected->losses[i]),
                      "loss %d is %.9g, not %.9g", i, actual->losses[i], expected->losses[i]);
}

int64_t loss_curve_bytes_for_parts(const struct graph *graph, int64_t batch)
{
    int64_t bytes = 1;
    while (sample_order_of_network(graph, batch, bytes) == 1)
        bytes *= 2;
    ck_assert_int_lt(sample_order_of_network(graph, batch, bytes), batch);
    return bytes;
}
