/* Prints docs/metrics.md from the table of metrics. SPDX-License-Identifier: Apache-2.0 */
#include "db/metrics.h"

#include <stdio.h>

int main(void)
{
    puts("# Metrics\n\n"
         "Made by `make docs` from the table that the metrics are read by; `make check` fails when it is out of date.\n\n"
         "`SHOW METRICS`, or `SHOW METRICS LIKE 'sink%'`, gives name, labels, type and value as rows; `lam_metrics` gives all of them in\n"
         "the Prometheus text format, each name with `" METRICS_PREFIX "` before it. Reading them stops nothing. What is dropped takes its\n"
         "counts with it, out of totals too. Of a histogram, `SHOW METRICS` gives count, sum, maximum and the values that 50, 90 and 99 % of all do not\n"
         "pass, to 3 %; the text gives its buckets. What has not run, or has no value yet, has no line.\n\n"
         "An operator is named by its number within the stream or sink whose plan it belongs to, counted from its inputs to its output,\n"
         "and its kind, as in `operator=\"2 aggregate\"`. Shares of time follow from the seconds: `rate(" METRICS_PREFIX
         "operator_busy_seconds_total[1m])`\n"
         "is the number of workers that an operator keeps busy.\n\n"
         "| metric | type | labels | |\n|---|---|---|---|");
    for (int i = 0; metric_at(i); i++) {
        const struct metric_info *m = metric_at(i);
        printf("| `%s` | %s | %s | %s |\n", m->name, metric_type_name(m->type), m->labels, m->help);
    }
    return 0;
}
