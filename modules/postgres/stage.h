/* Statements that bring rows into the target: COPY straight into it, or by way of a temporary table, of which the last change of each key is
 * merged. SPDX-License-Identifier: Apache-2.0 */
#ifndef POSTGRES_STAGE_H
#define POSTGRES_STAGE_H

#include "target.h"

/* The temporary table, for a session that merges. */
struct sql *stage_make(const struct target *t, struct sql *q);
/* COPY FROM STDIN; into the temporary table when the target is merged into. */
struct sql *stage_copy(const struct target *t, struct sql *q);
/* Merges what came from `seq` on; deletes: some of it may be taken back. */
struct sql *stage_merge(const struct target *t, struct sql *q, int32_t seq, bool deletes);
/* COPY, and then those rows that the target's unique indexes do not have: all of them or none, else it fails as if a row were bad. */
struct sql *stage_missing(const struct target *t, struct sql *q);

#endif
