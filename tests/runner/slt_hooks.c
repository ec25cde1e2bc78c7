/* The test hooks, all in one place. SPDX-License-Identifier: Apache-2.0 */
#include "slt_hooks.h"

/* Defined beside lam_open in builds that link the objects; absent in others. */
__attribute__((weak)) int lam_test_open(const struct lam_config *cfg, int workers, uint64_t seed, struct lam_db **out);
__attribute__((weak)) int lam_test_restart(struct lam_db *db);
__attribute__((weak)) int lam_test_advance(struct lam_db *db, int64_t us);

int hook_open(const struct lam_config *cfg, const struct slt_way *way, struct lam_db **out)
{
    struct lam_config c = *cfg;
    c.threads = way->driver ? 0 : way->workers;
    if (way->driver && lam_test_open) return lam_test_open(&c, way->workers, 1, out);
    return lam_open(NULL, &c, out);
}

bool hook_has_restart(void)
{
    return lam_test_restart;
}

int hook_restart(struct lam_db *db)
{
    return lam_test_restart(db);
}

bool hook_has_clock(const struct slt_way *way)
{
    return way->driver && lam_test_open && lam_test_advance;
}

int hook_advance(struct lam_db *db, int64_t us)
{
    return lam_test_advance(db, us);
}
