/* What the planner may know of connectors and formats, made from their classes. SPDX-License-Identifier: Apache-2.0 */
#include "connector/connector.h"
#include "connector/module.h"
#include "db/db_int.h"

#include <stdio.h>
#include <stdlib.h>

/* Descriptions are made once per class. */
static struct description {
    struct description *next;
    const void *class;
    struct connector_info connector;
    struct format_info format;
} * describe(struct lam_db *db, const void *class)
{
    struct description *d = db->descriptions;
    while (d && d->class != class) d = d->next;
    if (d) return d;
    d = arena_alloc(db->arena, sizeof *d);
    d->class = class;
    d->next = db->descriptions;
    return db->descriptions = d;
}

static const struct schema *metadata_of(struct lam_db *db, const struct metadata *table)
{
    int n = 0;
    if (!table) return NULL;
    while (table[n].name) n++;
    struct schema *s = schema_new(db->arena, n);
    for (int i = 0; i < n; i++) s->fields[i] = (struct field){.name = table[i].name, .type = table[i].type};
    return s;
}

const struct connector_info *registry_source(struct lam_db *db, const char *name)
{
    const struct source_class *c = source_find(name);
    if (!c) return NULL;
    struct connector_info *i = &describe(db, c)->connector;
    if (i->class) return i;
    *i = (struct connector_info){.name = c->name,
                                 .is_bytes = c->payload != PAYLOAD_COLUMNS,
                                 .is_records = c->payload == PAYLOAD_RECORDS,
                                 .metadata = metadata_of(db, c->metadata),
                                 .replayable = c->replayable,
                                 .options = c->options,
                                 .bounded = c->bounded,
                                 .default_format = c->default_format,
                                 .guess_format = c->guess_format,
                                 .class = c};
    return i;
}

const struct connector_info *registry_sink(struct lam_db *db, const char *name)
{
    const struct sink_class *c = sink_find(name);
    if (!c) return NULL;
    struct connector_info *i = &describe(db, c)->connector;
    if (i->class) return i;
    *i = (struct connector_info){.name = c->name,
                                 .is_bytes = c->payload != PAYLOAD_COLUMNS,
                                 .is_records = c->payload == PAYLOAD_RECORDS,
                                 .metadata = metadata_of(db, c->metadata),
                                 .changelog = c->changelog,
                                 .cancels = c->cancel != sink_no_cancel,
                                 .guarantee = c->guarantee,
                                 .options = c->options,
                                 .default_format = c->default_format,
                                 .guess_format = c->guess_format,
                                 .class = c};
    return i;
}

const struct format_info *registry_decoder(struct lam_db *db, const char *name)
{
    const struct decoder_class *c = decoder_find(name);
    if (!c) return NULL;
    struct format_info *i = &describe(db, c)->format;
    *i = (struct format_info){c->name, c->next, c->records, c->options, c};
    return i;
}

const struct format_info *registry_encoder(struct lam_db *db, const char *name)
{
    const struct encoder_class *c = encoder_find(name);
    if (!c) return NULL;
    struct format_info *i = &describe(db, c)->format;
    *i = (struct format_info){c->name, c->put, c->put_values, c->options, c};
    return i;
}

/* ---- modules --------------------------------------------------------------------------------------------------------
 */

/* The only folder that modules may come from; NULL: they may come from anywhere. */
static const char *module_folder(const struct lam_db *db)
{
    const char *folder = db->modules ? db->modules : secure_getenv("LAMINAR_MODULES");
    return folder && *folder ? folder : NULL;
}

static enum status place(struct err *err, uint32_t pos, enum status st)
{
    if (st && err && err->pos == NO_POS) err->pos = pos;
    return st;
}

enum status registry_load(struct lam_db *db, const struct stmt *st, struct err *err)
{
    return place(err, st->name_pos, module_load(st->value, module_folder(db), err));
}

/* Names of classes and, when one was not found, of modules; each once, though it may be that of a source and of a sink. */
const char *registry_connector_name(const void *ctx, int i)
{
    const struct lam_db *db = ((const struct lam_session *)ctx)->db;
    const struct source_class *s;
    const struct sink_class *k;
    for (int n = 0; (s = source_class_at(n)); n++)
        if (!i--) return s->name;
    for (int n = 0; (k = sink_class_at(n)); n++)
        if (!source_find(k->name) && !i--) return k->name;
    for (const struct module_file *f = db->module_files; f && f->name; f++)
        if (!source_find(f->name) && !sink_find(f->name) && !i--) return f->name;
    return NULL;
}

enum status registry_find_missing(struct lam_db *db, const struct stmt *st, struct err *err)
{
    if (!st->connector || source_find(st->connector) || sink_find(st->connector)) return ST_OK;
    enum status found = module_find(st->connector, module_folder(db), err);
    if (found != ST_DONE) return place(err, st->connector_pos, found);
    if (db->module_arena) arena_free(db->module_arena);
    db->module_arena = arena_new();
    db->module_files = module_files(db->module_arena, module_folder(db)); /* for the hint */
    return ST_OK;
}

int lam_load_module(struct lam_db *db, const char *path)
{
    if (db_forked(db)) return LAM_MISUSE;
    struct err err;
    enum status st = module_load(path, module_folder(db), &err);
    return st ? thread_fail(&err) : LAM_OK;
}

int lam_register_connector(const struct lam_module *m)
{
    struct err err;
    enum status st = module_add(m, NULL, &err);
    return st ? thread_fail(&err) : LAM_OK;
}

/* ---- SHOW CONNECTORS ------------------------------------------------------------------------------------------------
 */

/* The names of those that have the flags. */
static void put_options(struct table *t, const struct option_spec *o, int flags)
{
    struct text names = {0};
    for (; o->name; o++)
        if ((o->flags & flags) == flags && !(o->flags & OPT_REFUSED)) text_printf(&names, "%s%s", names.n ? ", " : "", o->name);
    table_text(t, names.n ? text_cstr(&names) : NULL);
    text_done(&names);
}

static void put_module(struct table *t, const struct module *m)
{
    table_text(t, m ? m->name : NULL);
    table_text(t, m ? m->version : NULL);
    table_text(t, m ? m->path : NULL);
}

static bool is_loaded(const struct module_file *f)
{
    const struct source_class *s;
    const struct sink_class *k;
    for (int i = 0; (s = source_class_at(i)); i++)
        if (s->module && s->module->path && !strcmp(s->module->path, f->path)) return true;
    for (int i = 0; (k = sink_class_at(i)); i++)
        if (k->module && k->module->path && !strcmp(k->module->path, f->path)) return true;
    return false;
}

/* What is there to be loaded: nothing is known of it but its name, and its code does not run to be asked. */
static void put_file(struct table *t, const struct module_file *f)
{
    char about[160];
    snprintf(about, sizeof about, "Not loaded; its options are shown after LOAD '%s'.", f->name);
    table_text(t, f->name);
    table_text(t, "module");
    for (int i = 0; i < 5; i++) table_null(t);
    table_text(t, about);
    table_null(t);
    table_null(t);
    table_text(t, f->path);
}

void registry_show(struct lam_db *db, struct table *t)
{
    static const char *const names[] = {"connector_name", "kind",  "payload", "delivery", "blocking",
                                        "options",        "secrets", "about", "module",  "version",  "path"};
    static const char *const payloads[] = {
        [PAYLOAD_BYTES] = "bytes", [PAYLOAD_COLUMNS] = "columns", [PAYLOAD_RECORDS] = "records"};
    static const char *const guarantees[] = {
        [AT_MOST_ONCE] = "at most once", [AT_LEAST_ONCE] = "at least once", [EXACTLY_ONCE] = "exactly once"};
    for (size_t i = 0; i < countof(names); i++)
        table_column(t, names[i], !strcmp(names[i], "blocking") ? T_BOOL : T_VARCHAR);
    const struct source_class *c;
    for (int i = 0; (c = source_class_at(i)); i++) {
        table_text(t, c->name);
        table_text(t, "source");
        table_text(t, payloads[c->payload]);
        table_text(t, c->replayable ? "replayable" : "once");
        table_bool(t, c->blocking);
        put_options(t, c->options, 0);
        put_options(t, c->options, OPT_SECRET);
        table_text(t, c->sentence);
        put_module(t, c->module);
    }
    const struct sink_class *k;
    for (int i = 0; (k = sink_class_at(i)); i++) {
        table_text(t, k->name);
        table_text(t, "sink");
        table_text(t, payloads[k->payload]);
        table_text(t, guarantees[k->guarantee]);
        table_bool(t, k->blocking);
        put_options(t, k->options, 0);
        put_options(t, k->options, OPT_SECRET);
        table_text(t, k->sentence);
        put_module(t, k->module);
    }
    AUTO(arena_free) struct arena *a = arena_new();
    for (const struct module_file *f = module_files(a, module_folder(db)); f->name; f++)
        if (!is_loaded(f)) put_file(t, f);
}
