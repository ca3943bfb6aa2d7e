#pragma once

/* KERN_CLONES before a function: the compiler makes a version for each instruction set and the
 * loader picks one. Without contraction to FMA (-ffp-contract=off) and with sums in an order that
 * the source fixes, all versions give the same bits.
 *
 * The thread sanitizer is not running yet when the loader picks: there, one plain version. */

#if defined(__SANITIZE_THREAD__)
#define KERN_CLONES
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define KERN_CLONES
#endif
#endif

#if !defined(KERN_CLONES) && defined(__x86_64__)
#define KERN_CLONES __attribute__((target_clones("default", "avx2", "avx512f")))
#elif !defined(KERN_CLONES)
#define KERN_CLONES
#endif
