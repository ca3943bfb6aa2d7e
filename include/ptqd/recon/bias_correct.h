#pragma once

/* Bias correction by expected output (Nagel et al., "Data-Free Quantization Through Weight
 * Equalization and Bias Correction", arXiv 1906.04721, section 4.2, with the means of the
 * calibration samples in place of those that batch normalization implies): quantizing weights and
 * inputs shifts the mean of what a layer gives; its bias takes the shift back. Layer by layer in
 * execution order, with the layers in front quantized and corrected already.
 *
 * Of all biases these have the smallest squared error of the layer's linear output. Methods that
 * use the data set them in passing; where codes were merely rounded, or were trained for something
 * else (an error behind a Relu, the network's output), the mean has moved.
 */

#include "ptqd/quant/network.h"
#include "ptqd/recon/monitor.h"
#include "ptqd/recon/walk.h"

/* Changes the layers' bias_values, to values that a device can hold. The squared shift of the mean
 * of each channel's linear output, relative to its mean square, on the mean over the layers, is
 * given as each layer is found and as it is left; either pointer may be NULL. `data`: the walk's.
 */
bool bias_correct(struct quant_network *network, const struct walk_options *data,
                  const struct recon_monitor *monitor, struct arena *scratch, double *out_before,
                  double *out_after, struct error *err);
