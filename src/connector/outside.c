/* Instances of outside classes, what their functions give, and their tables as ours. SPDX-License-Identifier:
 * Apache-2.0 */
#include "connector/outside.h"

#include "base/secret.h"

/* ---- instances -------------------------------------------------------------------------------------------------- */

void outside_open(struct outside_io *o, const char *class_name, const struct metadata *table,
                  const struct connector_ctx *ctx, struct wake *w, void *self)
{
    if (!o->schema.release) cdata_schema(ctx->schema, CDATA_EXTENSIONS, &o->schema);
    if (!o->arena) o->arena = arena_new();
    if (!o->columns.mine) metadata_divide(o->arena, table, ctx->schema, &o->columns);
    if (!o->metadata.release) cdata_schema(o->columns.mine, 0, &o->metadata);
    o->ctx = ctx;
    o->wake = w;
    o->class_name = class_name;
    o->io = (struct lam_io){.size = sizeof o->io,
                            .host = &outside_host,
                            .self = self,
                            .name = ctx->name,
                            .options = (const struct lam_options *)ctx->options,
                            .schema = &o->schema,
                            .metadata = &o->metadata,
                            .epochs = ctx->epochs,
                            .format = ctx->encoder ? ctx->encoder->name : NULL};
    o->is_open = true; /* last: who cancels from another thread reads io behind it */
}

void outside_close(struct outside_io *o)
{
    if (o->schema.release) o->schema.release(&o->schema);
    if (o->metadata.release) o->metadata.release(&o->metadata);
    arena_free(TAKE(o->arena));
    o->columns = (struct divided){0};
    o->is_open = false;
}

enum status outside_result(const struct outside_io *o, const char *call, int result, const int *allowed,
                           struct err *err)
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

/* ---- tables -------------------------------------------------------------------------------------------------------
 */

_Static_assert((int)LAM_OPTION_TEXT == (int)OPT_TEXT && (int)LAM_OPTION_BOOL == (int)OPT_BOOL &&
                   (int)LAM_OPTION_INT == (int)OPT_INT,
               "types");
_Static_assert((int)LAM_OPTION_DOUBLE == (int)OPT_DOUBLE && (int)LAM_OPTION_SIZE == (int)OPT_SIZE, "types");
_Static_assert((int)LAM_OPTION_DURATION == (int)OPT_DURATION && (int)LAM_OPTION_ENUM == (int)OPT_ENUM, "types");
_Static_assert((int)LAM_OPTION_CHAR == (int)OPT_CHAR, "types");
_Static_assert((int)LAM_OPTION_REQUIRED == (int)OPT_REQUIRED && (int)LAM_OPTION_SECRET == (int)OPT_SECRET &&
                   (int)LAM_OPTION_REFUSED == (int)OPT_REFUSED,
               "flags");
_Static_assert((int)LAM_IO_DONE == (int)ST_DONE && (int)LAM_IO_WAIT == (int)ST_WAIT &&
                   (int)LAM_IO_CLOSED == (int)ST_CLOSED,
               "results");
_Static_assert((int)LAM_IO_RETRY == (int)ST_RETRY && (int)LAM_IO_POISON == (int)ST_POISON, "results");
_Static_assert((int)LAM_IO_CONNECT == (int)E_CONNECT && (int)LAM_IO_READ == (int)E_READ &&
                   (int)LAM_IO_WRITE == (int)E_WRITE,
               "results");
_Static_assert((int)LAM_IO_OPTION == (int)E_CONNECTOR_OPTION && (int)LAM_IO_CANCELED == (int)E_CANCELED, "results");
_Static_assert((int)LAM_IO_TIMEOUT == (int)E_TIMEOUT, "results");

static const char *copy(struct arena *a, const char *s)
{
    return s ? arena_strdup(a, s) : NULL;
}

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

enum status outside_names_fit(const char *what, const char *name, const char *const *aliases, const char *sentence,
                              struct err *err)
{
    if (!is_name(name, ".-"))
        return err_set(err, E_MODULE,
                       "%s has a class whose name is not of lower case letters, digits, dots and hyphens", what);
    for (; aliases && *aliases; aliases++)
        if (!is_name(*aliases, ".-"))
            return err_set(err, E_MODULE,
                           "%s gives %s an alias that is not of lower case letters, digits, dots and hyphens", what,
                           name);
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

static enum status option_fits(const char *what, const struct option_spec *table, const struct option_spec *s,
                               struct err *err)
{
    if (!is_name(s->name, "."))
        return err_set(err, E_MODULE, "%s has an option whose name is not of lower case letters, digits and dots",
                       what);
    const char *wrong = NULL;
    if (option_find(table, s->name) != s) wrong = "is there twice";
    if ((unsigned)s->type > OPT_CHAR) wrong = "is of a type that does not exist";
    if (!is_sentence(s->sentence)) wrong = "does not say in one sentence what it is for";
    if (!wrong && s->also && !is_choice(s->also)) wrong = "has other names that are none";
    if (!wrong && s->flags & OPT_SECRET && secret_name(s->name, strlen(s->name)) == SECRET_NO)
        wrong = "is a secret and not called one: password, secret, token, ...key, headers, proxy";
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
                                        .flags = o->flags & (OPT_REQUIRED | OPT_SECRET | OPT_REFUSED),
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

static bool is_column(const char *s)
{
    if (!s || *s != '_' || !s[1]) return false;
    for (size_t n = 0; *s; s++)
        if (++n > 60 || !((*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') || *s == '_')) return false;
    return true;
}

enum status outside_metadata(struct arena *a, const char *what, const char *class_name, const struct lam_metadata *from,
                             int n, size_t stride, const struct metadata **out, struct err *err)
{
    *out = NULL;
    if (n < 0 || n > 1000 || (n && (!from || stride < sizeof *from)))
        return err_set(err, E_MODULE, "%s: n_metadata or metadata_size of %s is wrong", what, class_name);
    if (!n) return ST_OK;
    struct metadata *table = arena_alloc(a, sizeof *table * (size_t)(n + 1));
    for (int i = 0; i < n; i++) {
        const struct lam_metadata *m = (const void *)((const char *)from + (size_t)i * stride);
        const char *wrong = !is_column(m->name) ? "whose name is not an underscore and lower case letters, digits and _"
                            : metadata_find(table, m->name) ? "that is there twice"
                            : !m->type                      ? "without a type"
                            : !is_sentence(m->sentence)     ? "and does not say in one sentence what it holds"
                                                            : NULL;
        struct type t;
        if (!wrong && (!type_from_word(m->type, &t) || !type_width(t))) wrong = "of a type that there is not";
        if (wrong) return err_set(err, E_MODULE, "%s: %s has a column of metadata %s", what, class_name, wrong);
        table[i] = (struct metadata){copy(a, m->name), t, copy(a, m->sentence)};
    }
    *out = table;
    return ST_OK;
}
