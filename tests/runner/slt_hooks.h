/* What tests ask of the database beyond include/laminar.h, all in one place. SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_SLT_HOOKS_H
#define RUNNER_SLT_HOOKS_H

#include "laminar.h"
#include "slt.h"

/* Opens the database for a way of running. virtual_clock: time stands until hook_advance; the files are the machine's.
 */
int hook_open(const struct lam_config *cfg, const struct slt_way *way, bool virtual_clock, struct lam_db **out);
/* Saves the state of every operator and loads it again. */
int hook_restart(struct lam_db *db);
void hook_advance(int64_t us);

#endif
