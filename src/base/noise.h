/* Schedule noise: in builds with -DLAM_NOISE (MODE=tsan) threads lose the processor at random between the steps of what they share,
 * so that orders come up which a quiet machine never shows. Elsewhere it is nothing. SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_NOISE_H
#define BASE_NOISE_H

#ifdef LAM_NOISE
#include <sched.h>
#include <stdint.h>
#include <time.h>

static inline void noise(void)
{
    static __thread uint32_t x;
    if (!x) x = (uint32_t)(uintptr_t)&x | 1;
    x ^= x << 13, x ^= x >> 17, x ^= x << 5;
    const struct timespec moment = {0, 1000 + (x >> 16)};
    if (x % 64 == 0)
        sched_yield();
    else if (x % 1024 == 1)
        nanosleep(&moment, 0);
}
#else
static inline void noise(void) {}
#endif

#endif
