/* What mocks delivered, by name, for as long as the process lives. SPDX-License-Identifier: Apache-2.0 */
#include "connector/mock.h"
#include "connector/mock_int.h"

#include "base/mem.h"

#include <string.h>

struct mock_target {
    struct mock_target *next;
    char *name;
    struct text rows, pending;
    uint64_t nrows, npending, marker;
    uint64_t calls[MOCK_CALLS];
};

static struct {
    struct lock lock; /* zero is an unlocked mutex */
    struct mock_target *first;
} registry;

static struct mock_target *find(const char *name)
{
    struct mock_target *t = registry.first;
    while (t && strcmp(t->name, name)) t = t->next;
    return t;
}

struct mock_target *mock_target_get(const char *name)
{
    lock_take(&registry.lock);
    struct mock_target *t = find(name);
    if (!t) {
        t = mem_zalloc(sizeof *t);
        t->name = mem_strdup(name);
        t->next = registry.first;
        registry.first = t;
    }
    lock_give(&registry.lock);
    return t;
}

uint64_t mock_target_call(struct mock_target *t, enum mock_call call)
{
    lock_take(&registry.lock);
    uint64_t n = ++t->calls[call];
    lock_give(&registry.lock);
    return n;
}

void mock_target_add(struct mock_target *t, const struct text *rows, uint64_t n, bool pending)
{
    lock_take(&registry.lock);
    text_put(pending ? &t->pending : &t->rows, rows->p, rows->n);
    *(pending ? &t->npending : &t->nrows) += n;
    lock_give(&registry.lock);
}

bool mock_target_remove(struct mock_target *t, uint64_t row)
{
    lock_take(&registry.lock);
    bool found = row < t->npending;
    if (found) {
        char *p = t->pending.p, *end = p + t->pending.n;
        for (; row; row--) p = (char *)memchr(p, '\n', (size_t)(end - p)) + 1;
        char *next = (char *)memchr(p, '\n', (size_t)(end - p)) + 1;
        memmove(p, next, (size_t)(end - next));
        t->pending.n -= (size_t)(next - p);
        t->npending--;
    }
    lock_give(&registry.lock);
    return found;
}

void mock_target_abort(struct mock_target *t)
{
    lock_take(&registry.lock);
    text_clear(&t->pending);
    t->npending = 0;
    lock_give(&registry.lock);
}

void mock_target_flush(struct mock_target *t)
{
    lock_take(&registry.lock);
    text_put(&t->rows, t->pending.p, t->pending.n);
    t->nrows += t->npending;
    lock_give(&registry.lock);
    mock_target_abort(t);
}

void mock_target_commit(struct mock_target *t, uint64_t epoch)
{
    if (epoch <= mock_target_marker(t)) { /* it holds that epoch already */
        mock_target_abort(t);
        return;
    }
    mock_target_flush(t);
    lock_take(&registry.lock);
    t->marker = epoch;
    lock_give(&registry.lock);
}

uint64_t mock_target_marker(struct mock_target *t)
{
    lock_take(&registry.lock);
    uint64_t marker = t->marker;
    lock_give(&registry.lock);
    return marker;
}

char *mock_rows(const char *name)
{
    lock_take(&registry.lock);
    struct mock_target *t = find(name);
    char *rows = mem_strdup(t ? text_cstr(&t->rows) : "");
    lock_give(&registry.lock);
    return rows;
}

uint64_t mock_count(const char *name)
{
    lock_take(&registry.lock);
    struct mock_target *t = find(name);
    uint64_t n = t ? t->nrows : 0;
    lock_give(&registry.lock);
    return n;
}

uint64_t mock_calls(const char *name, const char *call)
{
    int i = mock_word_index(mock_call_names, call);
    INVARIANT(i >= 0);
    lock_take(&registry.lock);
    struct mock_target *t = find(name);
    uint64_t n = t ? t->calls[i] : 0;
    lock_give(&registry.lock);
    return n;
}

uint64_t mock_marker(const char *name)
{
    lock_take(&registry.lock);
    struct mock_target *t = find(name);
    uint64_t marker = t ? t->marker : 0;
    lock_give(&registry.lock);
    return marker;
}

void mock_reset(void)
{
    lock_take(&registry.lock);
    for (struct mock_target *t = registry.first, *next; t; t = next) {
        next = t->next;
        text_done(&t->rows);
        text_done(&t->pending);
        mem_free(t->name);
        mem_free(t);
    }
    registry.first = NULL;
    lock_give(&registry.lock);
}
