/* What tests ask of the database beyond include/laminar.h. Where a hook is not linked, it says so, and what needs it is
 * skipped. SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_SLT_HOOKS_H
#define RUNNER_SLT_HOOKS_H

#include "laminar.h"
#include "slt.h"

/* Opens the database for a way of running: with workers, or stepped by one seeded driver with a virtual clock. */
int hook_open(const struct lam_config *cfg, const struct slt_way *way, struct lam_db **out);
bool hook_has_restart(void);
/* Saves the state of every operator at a barrier and loads it again. */
int hook_restart(struct lam_db *db);
bool hook_has_clock(const struct slt_way *way);
int hook_advance(struct lam_db *db, int64_t us);

#endif
