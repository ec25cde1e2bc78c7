/* What EXPLAIN says of streams that run: their operators, why nothing comes out, and what holds them up. All of it is told
 * from surveys, so that a test can make one up. SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_EXPLAIN_H
#define DB_EXPLAIN_H

#include "base/text.h"
#include "runtime/survey.h"

/* The operators of stream n as a tree, each with its counts, then its consumers. Shares of time are those since `then`
 * (NULL: since each began). */
void explain_running(const struct survey *then, const struct survey *now, const struct survey_node *n, struct text *out);

/* Why no row left n between the two (then NULL: since it began), as half a sentence; n NULL: it does not run. false: rows left,
 * or all has ended, or none came in and none was to be expected. */
bool silence_reason(const struct survey *then, const struct survey *now, const struct survey_node *n, struct text *out);

/* What held up stream n between the two: "bottleneck: ...", or "no bottleneck: ...". */
void bottleneck_line(const struct survey *then, const struct survey *now, const struct survey_node *n, struct text *out);

/* " since 2024-01-01 00:00:05 (7.0 s ago)": at_us is on the clock of now_us. */
void put_since(const struct survey *s, int64_t at_us, struct text *out);
/* An instant, "-" for none; a time that has passed ("12 s"); a count ("1,200"). */
void put_instant(int64_t us, struct text *out);
void put_passed(int64_t us, struct text *out);
void put_count(uint64_t n, struct text *out);

#endif
