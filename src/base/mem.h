/* Memory: the one door to the heap, accounts that bound it, and arenas for a statement's life.
 *
 * mem_alloc never returns NULL: a process whose allocator is empty cannot go on with a statement or
 * a graph, so the panic handler decides. What a user's data can make large (state, batches, logs)
 * is refused before that by an account. SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include "base/status.h"

/* Process wide; set before the first allocation or not at all (E_MISUSE). NULL members keep libc. */
struct mem_hook {
    void *(*alloc)(void *ctx, size_t n, size_t align);
    void (*free)(void *ctx, void *p);
    void *ctx;
};
enum status mem_hook_set(const struct mem_hook *hook);

void *mem_alloc(size_t n);  /* 16-byte aligned, not cleared */
void *mem_zalloc(size_t n); /* cleared */
void *mem_aligned(size_t align, size_t n);
void *mem_realloc(void *p, size_t old_n, size_t n);
void mem_free(void *p);
char *mem_strdup(const char *s);
/* How many allocations this process has made: R7's tests assert that it stands still. */
uint64_t mem_alloc_count(void);

/* An account bounds the bytes charged to it; parents are charged as well. Any thread. Pools keep a reference, for memory
 * that is handed out may come back when all else is gone. */
struct account {
    struct account *parent;
    _Atomic int64_t limit; /* 0: none; it may be changed at any time */
    _Atomic int64_t used;
    _Atomic int64_t peak;
    _Atomic int64_t refs; /* of one that account_new made */
};
void account_init(struct account *a, struct account *parent, int64_t limit); /* in the caller's memory */
struct account *account_new(struct account *parent, int64_t limit);
struct account *account_ref(struct account *a);
void account_unref(struct account *a);
/* Charges n bytes or returns E_NOMEM and charges nothing. */
enum status account_charge(struct account *a, int64_t n) MUST_CHECK;
/* Charges although it may pass the limit: for what already exists. */
void account_force(struct account *a, int64_t n);
void account_release(struct account *a, int64_t n);

/* An arena: allocations die together. One thread at a time. */
struct arena;
struct arena *arena_new(void);
void arena_free(struct arena *a);
AUTO_DEFINE(arena_free, struct arena *)
void *arena_alloc(struct arena *a, size_t n); /* cleared, 16-byte aligned */
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
size_t arena_bytes(const struct arena *a);

#endif
