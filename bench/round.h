/* One measured round of a bench program: each line on stdin asks for one, a line of JSON answers it. So whoever drives
 * two programs lets them take turns, and both meet the same machine. SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_ROUND_H
#define BENCH_ROUND_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

struct round {
    double wall_s, cpu_s; /* of the whole process, all its threads */
};

static inline struct round round_now(void)
{
    struct timespec t;
    struct rusage u;
    clock_gettime(CLOCK_MONOTONIC, &t);
    getrusage(RUSAGE_SELF, &u);
    return (struct round){(double)t.tv_sec + (double)t.tv_nsec * 1e-9,
                          (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                              (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6};
}

static inline struct round round_begin(void)
{
    return round_now();
}

static inline void round_end(struct round *r)
{
    struct round end = round_now();
    *r = (struct round){end.wall_s - r->wall_s, end.cpu_s - r->cpu_s};
}

static inline bool round_next(void)
{
    char line[64];
    return fgets(line, sizeof line, stdin) != NULL;
}

static inline void round_print(const struct round *r, uint64_t rows, const char *value)
{
    printf("{\"wall_s\":%.6f,\"cpu_s\":%.6f,\"rows\":%llu,\"value\":\"%s\"}\n", r->wall_s, r->cpu_s,
           (unsigned long long)rows, value);
    fflush(stdout);
}

#endif
