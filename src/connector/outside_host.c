/* The host functions that outside classes are given. SPDX-License-Identifier: Apache-2.0 */
#include "connector/outside.h"

#include "format/format.h"

#include <stdarg.h>
#include <stdio.h>

static struct outside_io *of(struct lam_io *io)
{
    return container_of(io, struct outside_io, io);
}

static void *host_alloc(size_t n)
{
    return mem_zalloc(n ? n : 1);
}
static void *host_resize(void *p, size_t old_n, size_t n)
{
    return mem_realloc(p, old_n, n ? n : 1);
}

static void host_account(struct lam_io *io, int64_t bytes)
{
    if (bytes > 0) account_force(of(io)->ctx->account, bytes);
    if (bytes < 0) account_release(of(io)->ctx->account, -bytes);
}

static int64_t host_now(struct lam_io *io)
{
    return env_now_us(of(io)->ctx->env);
}
static int64_t host_wall(struct lam_io *io)
{
    return env_wall_us(of(io)->ctx->env);
}
static uint64_t host_random(struct lam_io *io)
{
    return env_random(of(io)->ctx->env);
}

static void host_log(struct lam_io *io, int level, const char *fmt, ...)
{
    const struct outside_io *o = of(io);
    char line[600], text[500];
    if (!o->ctx->log) return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    snprintf(line, sizeof line, "%s \"%.60s\": %s", o->class_name, o->ctx->name, text);
    o->ctx->log(o->ctx->log_ctx, level < 0 ? 0 : level > 3 ? 3 : level, line);
}

static void host_wake(struct lam_io *io)
{
    wake_now(of(io)->wake);
}

static const struct option_value *value_of(const struct lam_options *o, const char *name)
{
    const struct options *all = (const struct options *)o;
    return options_has(all, name) ? options_get(all, name) : NULL;
}

static const char *host_option_text(const struct lam_options *o, const char *name)
{
    const struct option_value *v = value_of(o, name);
    return v ? v->text : NULL;
}

static int64_t host_option_int(const struct lam_options *o, const char *name)
{
    const struct option_value *v = value_of(o, name);
    return v ? v->i : 0;
}

static double host_option_double(const struct lam_options *o, const char *name)
{
    const struct option_value *v = value_of(o, name);
    return v ? v->d : 0;
}

static bool host_option_set(const struct lam_options *o, const char *name)
{
    return value_of(o, name);
}

static bool host_option_given(const struct lam_options *o, const char *name)
{
    const struct option_value *v = value_of(o, name);
    return v && v->set;
}

static int host_fail(struct lam_error *e, int code, const char *fmt, ...)
{
    struct err *err = (struct err *)e;
    char text[sizeof err->text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    err_set(err, (enum status)code, "%s", text);
    return code;
}

static void host_hint(struct lam_error *e, const char *fmt, ...)
{
    struct err *err = (struct err *)e;
    char text[sizeof err->hint];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    err_hint(err, "%s", text);
}

char *outside_room(struct lam_bytes *out, size_t n)
{
    struct outside_room *r = container_of(out, struct outside_room, bytes);
    if (out->n + n > r->cap) {
        size_t cap = r->cap ? r->cap : 4096;
        while (cap < out->n + n) cap *= 2;
        char *p = mem_aligned(64, PAYLOAD_HEADROOM + cap + FORMAT_PADDING);
        if (out->n) memcpy(p + PAYLOAD_HEADROOM, r->p + PAYLOAD_HEADROOM, out->n);
        mem_free(r->p);
        account_force(r->account, (int64_t)(cap - r->cap));
        r->p = p;
        r->cap = cap;
    }
    return r->p + PAYLOAD_HEADROOM + out->n;
}

static void host_put(struct lam_bytes *out, const void *p, size_t n)
{
    if (n) memcpy(outside_room(out, n), p, n);
    out->n += n;
}

void outside_room_done(struct outside_room *r)
{
    account_release(r->account, (int64_t)r->cap);
    mem_free(r->p);
    *r = (struct outside_room){0};
}

const struct lam_host outside_host = {
    .size = sizeof(struct lam_host),
    .version = "0.1.0",
    .alloc = host_alloc,
    .resize = host_resize,
    .free = mem_free,
    .account = host_account,
    .now = host_now,
    .wall = host_wall,
    .random = host_random,
    .log = host_log,
    .wake = host_wake,
    .option_text = host_option_text,
    .option_int = host_option_int,
    .option_double = host_option_double,
    .option_set = host_option_set,
    .fail = host_fail,
    .hint = host_hint,
    .room = outside_room,
    .put = host_put,
    .record = outside_record,
    .record_room = outside_record_room,
    .view_new = outside_view_new,
    .view_read = outside_view_read,
    .rows_keep = outside_rows_keep,
    .kept_read = outside_kept_read,
    .kept_free = outside_kept_free,
    .view_free = outside_view_free,
    .option_given = host_option_given,
};
