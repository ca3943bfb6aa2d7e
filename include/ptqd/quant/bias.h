#pragma once

/* Biases as a device holds them: int32 codes in the scale of the products, s_x · s_w[k], without a
 * zero point. In simulation biases are float; rounding them once, before the network is judged,
 * makes the simulation compute what artifacts compute. A layer whose weights or input stay in float
 * has no such scale: its biases stay in float too.
 */

#include "ptqd/quant/network.h"

/* True when the layer's weights and input are both quantized. */
bool quant_bias_has_codes(const struct quant_layer *layer);

/* s_x · s_w[k] of output channel k as a float32, where there are codes; both quantizers must be
 * calibrated. */
float quant_bias_scale(const struct quant_network *network, const struct quant_layer *layer,
                       int64_t k);

/* The value nearest to a bias that has a code, of at most 2^30: what a solver should count with. At
 * few bits a step of the bias is a visible share of a step of the output; of a channel of next to
 * no weights 2^30 steps are less than a trained bias may want. Without codes, the bias itself. */
float quant_bias_nearest(const struct quant_network *network, const struct quant_layer *layer,
                         int64_t k, float bias);

/* The nearest code of each of the layer's K biases, where there are codes. E_INVALID names the
 * layer and the channel whose bias has no int32 code. A decoded code below 2^23 encodes to itself.
 */
bool quant_bias_encode(const struct quant_network *network, const struct quant_layer *layer,
                       int32_t *out_codes, struct error *err);

/* Replaces the biases of every layer that has codes by their decoded codes. Leaves the network as
 * it was when one of them has none. */
bool quant_network_round_biases(struct quant_network *network, struct error *err);
