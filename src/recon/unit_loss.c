/* Where the gradient of a unit's squared error begins. */

#include "ptqd/recon/unit_loss.h"

#include "ptqd/kern/difference.h"
#include "ptqd/nn/op.h"

struct unit_loss unit_loss_of(const struct graph *unit)
{
    int producer = unit->tensors[unit->output].producer;
    bool rectified = producer >= 0 && unit->nodes[producer].op->rectifies &&
                     graph_reader_count(unit, unit->output) == 1;
    return rectified ? (struct unit_loss){unit->nodes[producer].inputs[0], difference_f32_rectified}
                     : (struct unit_loss){unit->output, difference_f32};
}
