/* What arrived, against what was sent; and instances of classes, without a database. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef CONFORMANCE_JUDGE_H
#define CONFORMANCE_JUDGE_H

#include "suite.h"

/* Lines of JSON, of a mock or of a ledger, as rows k|t with NULL as \N; malloc. */
char *judge_rows(const char *raw);
/* NULL: right. The rows first..first+n-1 of run_push, in order; again: some may be there twice or more, none before its
 * turn; part: the last ones may lack. */
const char *judge(const char *raw, int64_t first, int n, size_t wide, bool again, bool part);
int64_t judge_count(const char *raw); /* different rows */
/* n lines of JSON with the rows of run_push; malloc. */
char *judge_json(int64_t first, int n, size_t wide);

/* An instance of a class over the options of a subject. */
struct direct {
    struct arena *arena;
    struct account account;
    struct schema *schema;
    struct connector_ctx ctx;
    struct err err;
};
bool direct_init(struct direct *d, const char *options, const struct option_spec *table, bool epochs);
void direct_done(struct direct *d);
void direct_values(int64_t first, int n, struct values *out); /* the same rows as lines of JSON */
struct batch *direct_batch(struct direct *d, struct pool *p, int64_t first, int n);

#endif
