/* Fault points. SPDX-License-Identifier: Apache-2.0 */
#include "base/fault.h"

#ifdef LAM_FAULTS
#include "base/env.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define POINTS 64
static struct point {
    char name[40];
    enum fault_action action;
    int nth, times;
    _Atomic uint64_t hits;
    _Atomic bool armed;
} points[POINTS];
static _Atomic int n_points;

static struct point *find(const char *name)
{
    int n = atomic_load(&n_points);
    for (int i = 0; i < n; i++)
        if (!strcmp(points[i].name, name)) return &points[i];
    return NULL;
}

/* Tests arm points before they start threads. */
void fault_arm(const char *name, enum fault_action action, int nth, int times)
{
    struct point *p = find(name);
    if (!p) {
        int i = atomic_load(&n_points);
        INVARIANT(i < POINTS && strlen(name) < sizeof points[i].name);
        p = &points[i];
        strcpy(p->name, name);
        atomic_store(&n_points, i + 1);
    }
    p->action = action;
    p->nth = nth;
    p->times = times;
    atomic_store(&p->hits, 0);
    atomic_store(&p->armed, true);
}

void fault_disarm_all(void)
{
    for (int i = 0; i < atomic_load(&n_points); i++) atomic_store(&points[i].armed, false);
}

uint64_t fault_hits(const char *name)
{
    struct point *p = find(name);
    return p ? atomic_load(&p->hits) : 0;
}

bool fault_hit(const char *name)
{
    struct point *p = find(name);
    if (!p || !atomic_load(&p->armed)) return false;
    int64_t hit = (int64_t)atomic_fetch_add(&p->hits, 1) + 1;
    if (hit < p->nth || (p->times && hit >= p->nth + p->times)) return false;
    if (p->action == FAULT_CRASH) kill(getpid(), SIGKILL);
    return true;
}
#endif
