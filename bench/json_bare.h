/* The loop to compare with: nothing but simdjson. SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_JSON_BARE_H
#define BENCH_JSON_BARE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
/* Reads the fields of each bid in p[0..n) in their order; returns the rows, or -1. *sum is proof of work. */
int64_t json_bare(const char *p, size_t n, uint64_t *sum);
#ifdef __cplusplus
}
#endif

#endif
