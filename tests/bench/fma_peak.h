#pragma once

/* The floating-point peak of one core, measured: fused multiply-adds on registers alone, in the
 * widest vectors the processor has. GFLOP/s; 0 where this program has no loop for the processor. */
double fma_peak_gflops(void);
