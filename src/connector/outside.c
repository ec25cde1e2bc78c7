/* The host functions that outside classes are given, and their tables as ours. SPDX-License-Identifier: Apache-2.0 */
#include "connector/outside.h"

#include "base/text.h"
#include "format/format.h"

#include <stdarg.h>
#include <stdio.h>

static struct outside_io *of(struct lam_io *io) { return container_of(io, struct outside_io, io); }

/* ---- host functions ------------------------------------------------------------------------------------------- */

static void *host_alloc(size_t n) { return mem_zalloc(n ? n : 1); }
static void *host_resize(void *p, size_t old_n, size_t n) { return mem_realloc(p, old_n, n ? n : 1); }

static void host_account(struct lam_io *io, int64_t bytes)
{
    if (bytes > 0) account_force(of(io)->ctx->account, bytes);
    if (bytes < 0) account_release(of(io)->ctx->account, -bytes);
}

static int64_t host_now(struct lam_io *io) { return env_now_us(of(io)->ctx->env); }
static int64_t host_wall(struct lam_io *io) { return env_wall_us(of(io)->ctx->env); }
static uint64_t host_random(struct lam_io *io) { return env_random(of(io)->ctx->env); }

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

static void host_wake(struct lam_io *io) { wake_now(of(io)->wake); }

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

static bool host_option_set(const struct lam_options *o, const char *name) { return value_of(o, name); }

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

static char *host_room(struct lam_bytes *out, size_t n)
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
    if (n) memcpy(host_room(out, n), p, n);
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
    .room = host_room,
    .put = host_put,
};

/* ---- instances -------------------------------------------------------------------------------------------------- */

void outside_open(struct outside_io *o, const char *class_name, const struct connector_ctx *ctx, struct wake *w, void *self)
{
    if (!o->schema.release) cdata_schema(ctx->schema, 0, &o->schema);
    o->ctx = ctx;
    o->wake = w;
    o->class_name = class_name;
    o->is_open = true;
    o->io = (struct lam_io){.size = sizeof o->io,
                            .host = &outside_host,
                            .self = self,
                            .name = ctx->name,
                            .options = (const struct lam_options *)ctx->options,
                            .schema = &o->schema,
                            .epochs = ctx->epochs};
}

void outside_close(struct outside_io *o)
{
    if (o->schema.release) o->schema.release(&o->schema);
    o->is_open = false;
}

enum status outside_result(const struct outside_io *o, const char *call, int result, const int *allowed, struct err *err)
{
    if (!result) return ST_OK;
    for (; *allowed; allowed++)
        if (result == *allowed) return (enum status)result;
    if (result < 0 || result > 9999) {
        err_set(err, E_EXEC, "%s of the connector %s gave %d, which it must not", call, o->class_name, result);
        err_hint(err, "this is a mistake in the connector");
        return E_EXEC;
    }
    if (err && err->code != (enum status)result)
        err_set(err, (enum status)result, "%s of the connector %s failed without saying why", call, o->class_name);
    return (enum status)result;
}

/* ---- tables ------------------------------------------------------------------------------------------------------- */

_Static_assert((int)LAM_OPTION_TEXT == (int)OPT_TEXT && (int)LAM_OPTION_BOOL == (int)OPT_BOOL && (int)LAM_OPTION_INT == (int)OPT_INT, "types");
_Static_assert((int)LAM_OPTION_DOUBLE == (int)OPT_DOUBLE && (int)LAM_OPTION_SIZE == (int)OPT_SIZE, "types");
_Static_assert((int)LAM_OPTION_DURATION == (int)OPT_DURATION && (int)LAM_OPTION_ENUM == (int)OPT_ENUM, "types");
_Static_assert((int)LAM_OPTION_CHAR == (int)OPT_CHAR, "types");
_Static_assert((int)LAM_OPTION_REQUIRED == (int)OPT_REQUIRED && (int)LAM_OPTION_SECRET == (int)OPT_SECRET, "flags");
_Static_assert((int)LAM_IO_DONE == (int)ST_DONE && (int)LAM_IO_WAIT == (int)ST_WAIT && (int)LAM_IO_CLOSED == (int)ST_CLOSED, "results");
_Static_assert((int)LAM_IO_RETRY == (int)ST_RETRY && (int)LAM_IO_POISON == (int)ST_POISON, "results");
_Static_assert((int)LAM_IO_CONNECT == (int)E_CONNECT && (int)LAM_IO_READ == (int)E_READ && (int)LAM_IO_WRITE == (int)E_WRITE, "results");
_Static_assert((int)LAM_IO_OPTION == (int)E_CONNECTOR_OPTION && (int)LAM_IO_CANCELED == (int)E_CANCELED, "results");
_Static_assert((int)LAM_IO_TIMEOUT == (int)E_TIMEOUT, "results");

static const char *copy(struct arena *a, const char *s) { return s ? arena_strdup(a, s) : NULL; }

static bool is_name(const char *s, const char *also)
{
    if (!s || *s < 'a' || *s > 'z') return false;
    for (size_t n = 0; *s; s++)
        if (++n > 60 || !((*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') || strchr(also, *s))) return false;
    return true;
}

static bool is_sentence(const char *s)
{
    size_t n = s ? strlen(s) : 0;
    return n > 1 && s[n - 1] == '.' && !strchr(s, '\n');
}

enum status outside_names_fit(const char *what, const char *name, const char *const *aliases, const char *sentence, struct err *err)
{
    if (!is_name(name, ".-"))
        return err_set(err, E_MODULE, "%s has a class whose name is not of lower case letters, digits, dots and hyphens", what);
    for (; aliases && *aliases; aliases++)
        if (!is_name(*aliases, ".-"))
            return err_set(err, E_MODULE, "%s gives %s an alias that is not of lower case letters, digits, dots and hyphens", what, name);
    if (!is_sentence(sentence)) return err_set(err, E_MODULE, "%s does not say in one sentence what %s is", what, name);
    return ST_OK;
}

const char *const *outside_names(struct arena *a, const char *const *names)
{
    int n = 0;
    while (names && names[n]) n++;
    const char **out = arena_alloc(a, sizeof *out * (size_t)(n + 1));
    for (int i = 0; i < n; i++) out[i] = copy(a, names[i]);
    return out;
}

/* The words of "a|b|c". */
static bool is_choice(const char *values)
{
    size_t n = 0;
    for (const char *p = values; p && *p; p++) {
        n = *p == '|' ? 0 : n + 1;
        if (n > 60 || (*p == '|' && (p == values || p[1] == '|'))) return false;
    }
    return n;
}

static enum status option_fits(const char *what, const struct option_spec *table, const struct option_spec *s, struct err *err)
{
    if (!is_name(s->name, "."))
        return err_set(err, E_MODULE, "%s has an option whose name is not of lower case letters, digits and dots", what);
    const char *wrong = NULL;
    if (option_find(table, s->name) != s) wrong = "is there twice";
    if ((unsigned)s->type > OPT_CHAR) wrong = "is of a type that does not exist";
    if (!is_sentence(s->sentence)) wrong = "does not say in one sentence what it is for";
    if (!wrong && s->also && !is_choice(s->also)) wrong = "has other names that are none";
    if (!wrong && s->type == OPT_ENUM && !is_choice(s->values)) wrong = "has no choices";
    if (!wrong && !option_default_fits(s)) wrong = "has a default that does not fit its type";
    return wrong ? err_set(err, E_MODULE, "%s: option '%s' %s", what, s->name, wrong) : ST_OK;
}

enum status outside_options(struct arena *a, const char *what, const struct lam_option *from, int n, size_t stride,
                            const struct option_spec **out, struct err *err)
{
    if (n < 0 || n > 1000 || (n && (!from || stride < offsetof(struct lam_option, also))))
        return err_set(err, E_MODULE, "%s: n_options or option_size is wrong", what);
    struct option_spec *table = arena_alloc(a, sizeof *table * (size_t)(n + 1));
    for (int i = 0; i < n; i++) {
        const struct lam_option *o = (const void *)((const char *)from + (size_t)i * stride);
        table[i] = (struct option_spec){.name = copy(a, o->name),
                                        .type = (enum option_type)o->type,
                                        .dflt = copy(a, o->dflt),
                                        .flags = o->flags & (OPT_REQUIRED | OPT_SECRET),
                                        .values = copy(a, o->values),
                                        .min = o->min,
                                        .max = o->max,
                                        .sentence = copy(a, o->sentence),
                                        .also = stride < sizeof *o ? NULL : copy(a, o->also)};
        TRY(option_fits(what, table, &table[i], err));
    }
    *out = table;
    return ST_OK;
}
