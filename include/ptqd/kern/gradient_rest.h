#pragma once

/* What is still to be done to the gradient of a Relu's output y when one operator has given its
 * part g: the part that a loss factor/2 · Σ (y − wanted)² has, and the Relu's own slope:
 *
 *     y > 0 ? g + factor · (y − wanted) : 0
 *
 * A kernel that computes g does it in the same pass. */
struct gradient_rest {
    const float *wanted; /* NULL: no such loss */
    float factor;
};
