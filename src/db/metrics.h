/* Metrics: one table of all there are, from which SHOW METRICS, the Prometheus text and docs/metrics.md come.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_METRICS_H
#define DB_METRICS_H

#include "base/histogram.h"
#include "base/text.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_info {
    const char *name;   /* PREFIX is put before it in the Prometheus text */
    enum metric_type type;
    const char *labels; /* "source" or "stream, operator"; "": none */
    const char *help;   /* one sentence */
};
#define METRICS_PREFIX "laminardb_"
const struct metric_info *metric_at(int i); /* NULL at the end */
const char *metric_type_name(enum metric_type t);

struct labels {
    int n;
    const char *name[2], *value[2];
};

/* One value. */
struct sample {
    const struct metric_info *info;
    struct labels labels;
    double value;
    const struct histogram *histogram; /* METRIC_HISTOGRAM, instead of value */
};

struct lam_db;
/* Samples in the order of the table; of one metric by its labels' names. */
struct metrics *metrics_take(struct lam_db *db);
void metrics_free(struct metrics *m);
AUTO_DEFINE(metrics_free, struct metrics *)
int metrics_count(const struct metrics *m);
const struct sample *metrics_sample(const struct metrics *m, int i);
void metrics_print(const struct metrics *m, struct text *out); /* Prometheus text exposition format 0.0.4 */
/* A value as text: integers as such, others in their shortest form. */
void metrics_put_value(double v, struct text *out);

#endif
