/* The test hooks: db/db.h and a clock that is moved by hand. SPDX-License-Identifier: Apache-2.0 */
#include "slt_hooks.h"

#include "db/db.h"

#define TIMEOUT_US 20000000
#define MONDAY_US  1704067200000000 /* 2024-01-01 00:00 UTC */

static struct env_ops ops;
static struct env stopped = {&ops};
static int64_t clock_us;

static int64_t now_us(struct env *e)
{
    return (void)e, clock_us;
}
static int64_t wall_us(struct env *e)
{
    return (void)e, MONDAY_US + clock_us;
}

int hook_open(const struct lam_config *cfg, const struct slt_way *way, bool virtual_clock, struct lam_db **out)
{
    struct lam_config c = *cfg;
    struct db_setup setup = {.env = env_real(), .workers = way->workers, .shuffle = way->driver ? 1 : 0};
    c.threads = way->driver ? 0 : way->workers;
    if (virtual_clock) {
        ops = *env_real()->ops;
        ops.now_us = now_us;
        ops.wall_us = wall_us;
        clock_us = 1000000;
        setup.env = &stopped;
    }
    return (int)db_open(&c, &setup, out);
}

int hook_restart(struct lam_db *db)
{
    struct err err;
    return (int)runtime_restart(db_runtime(db), TIMEOUT_US, &err);
}

void hook_advance(int64_t us)
{
    clock_us += us;
}
