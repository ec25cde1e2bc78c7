/* What tests may ask of a database beyond laminar.h: another environment, the scheduler's seed, small rings, a restart.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_DB_H
#define DB_DB_H

#include "base/env.h"
#include "laminar.h"
#include "runtime/runtime.h"

struct db_setup {
    struct env *env;
    int workers;         /* with threads = 0 too: how many workers the driver steps; 0: as cfg says */
    uint64_t shuffle;    /* seed of the order of steps under the driver; 0: in turn */
    uint32_t ring_slots; /* a power of two >= 4; 0: default */
};
enum status db_open(const struct lam_config *cfg, const struct db_setup *setup, struct lam_db **out);
struct runtime *db_runtime(struct lam_db *db);
struct account *db_account(struct lam_db *db);

#endif
