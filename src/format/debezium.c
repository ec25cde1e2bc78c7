/* Change events of Debezium in: one JSON object each, with the row before and after the change.
 *
 * {"before": {...}, "after": {...}, "source": {...}, "op": "c", "ts_ms": 1}, or that as "payload" beside its "schema". The row is after, for a
 * deletion before. Columns that begin with __ are of the event: __op, __ts_ms, __source_lsn. An event is a row like any other: what it means
 * for a table is for a query to say. Tombstones, which follow deletions to let Kafka forget a key, are no events.
 *
 * Where there is a schema it says what values mean; it is the same text in each event, so it is read when it changes. Without one a column's
 * declared type says it, and what that cannot say (units of times, which of two spellings of DECIMAL) an option must: nothing is guessed.
 * SPDX-License-Identifier: Apache-2.0 */
#include "format/json_int.h"

struct debezium {
    struct text schema; /* which the meanings are of */
    bool known;         /* there is one */
    enum { DECIMALS_UNSET, DECIMALS_PRECISE, DECIMALS_STRING, DECIMALS_DOUBLE } decimals;
};

/* ---- which part is the row --------------------------------------------------------------------------------- */

static const struct json_slot *slot(const struct json *j, int i)
{
    const struct json_slot *s = &j->slots[i];
    return s->seen == j->record && s->value.kind != JSON_NULL ? s : NULL;
}

static void read_schema(struct json *j, const struct json_line *l, bool after);

static const char *choose_image(struct json *j, int which, const char *missing, struct json_line *at)
{
    const struct json_slot *s = slot(j, which);
    if (!s) return missing;
    if (s->value.kind != JSON_NESTED) return "before and after are to be objects";
    at->i = s->at;
    return NULL;
}

const char *debezium_choose(struct json *j, const struct json_line *l, struct json_line *at, bool *none)
{
    const struct json_slot *op = slot(j, SLOT_OP), *payload = &j->slots[SLOT_PAYLOAD];
    const char *p;
    uint32_t n;
    *none = !op && payload->seen == j->record && payload->value.kind == JSON_NULL; /* a tombstone with a schema beside it */
    if (*none) return NULL;
    if (!op) return "it has no op, so it is no event of Debezium";
    if (op->value.kind != JSON_STRING || !json_string(j, &op->value, &p, &n) || n != 1 || !memchr("crud", *p, 4)) return "its op is none of c, u, d and r";
    bool deleted = *p == 'd';
    read_schema(j, l, !deleted);
    if (deleted) return choose_image(j, SLOT_BEFORE, "it deletes a row and has no before", at);
    return choose_image(j, SLOT_ROWS, "it has no after", at);
}

/* ---- the schema ---------------------------------------------------------------------------------------------- */

/* The logical types that are not what they look like; units as multiples of a microsecond. */
static const struct logical {
    const char *name;
    enum json_meaning meaning;
    int64_t mul, div;
} logicals[] = {
    {"io.debezium.time.Date",                  MEANING_DAYS,      1,    1   },
    {"io.debezium.time.Time",                  MEANING_TIME,      1000, 1   },
    {"io.debezium.time.MicroTime",             MEANING_TIME,      1,    1   },
    {"io.debezium.time.NanoTime",              MEANING_TIME,      1,    1000},
    {"io.debezium.time.Timestamp",             MEANING_TIMESTAMP, 1000, 1   },
    {"io.debezium.time.MicroTimestamp",        MEANING_TIMESTAMP, 1,    1   },
    {"io.debezium.time.NanoTimestamp",         MEANING_TIMESTAMP, 1,    1000},
    {"io.debezium.time.MicroDuration",         MEANING_DURATION,  1,    1   },
    {"io.debezium.time.NanoDuration",          MEANING_DURATION,  1,    1000},
    {"org.apache.kafka.connect.data.Date",     MEANING_DAYS,      1,    1   },
    {"org.apache.kafka.connect.data.Time",     MEANING_TIME,      1000, 1   },
    {"org.apache.kafka.connect.data.Timestamp", MEANING_TIMESTAMP, 1000, 1  },
    {"org.apache.kafka.connect.data.Decimal",  MEANING_DECIMAL,   1,    1   },
    {"io.debezium.data.VariableScaleDecimal",  MEANING_DECIMAL,   1,    1   },
};

static bool is_text(struct json *j, const struct json_value *v, const char *want)
{
    const char *p;
    uint32_t n;
    return v->kind == JSON_STRING && json_string(j, v, &p, &n) && n == strlen(want) && !memcmp(p, want, n);
}

static bool member_value(struct json *j, struct json_line l, const char *key, struct json_value *v)
{
    struct json_line at;
    if (!json_member(j, l, key, &at)) return false;
    *v = json_scalar_text(&at);
    v->kind = json_scalar_guess(v->p, v->n);
    return true;
}

/* The field's description at l. */
static void read_meaning(struct json *j, struct json_line l, struct json_column *c)
{
    struct json_line parameters;
    struct json_value v;
    int64_t scale = 0;
    const char *p;
    uint32_t n;
    c->sense.scale = 0;
    if (member_value(j, l, "type", &v) && is_text(j, &v, "bytes")) json_mean(c, MEANING_BYTES);
    if (json_member(j, l, "parameters", &parameters) && member_value(j, parameters, "scale", &v) && v.kind == JSON_STRING &&
        json_string(j, &v, &p, &n) && cell_parse_int64(p, n, &scale) && scale > -100 && scale < 100)
        c->sense.scale = (int)scale;
    if (!member_value(j, l, "name", &v)) return;
    for (size_t i = 0; i < countof(logicals); i++)
        if (is_text(j, &v, logicals[i].name))
            json_mean(c, logicals[i].meaning), c->sense.mul = logicals[i].mul, c->sense.div = logicals[i].div;
}

/* As a value of that name finds it. */
static int column_at(struct json *j, const struct json_value *name)
{
    const struct json_node *node = &j->nodes[j->rows];
    const char *p;
    uint32_t n;
    if (name->kind != JSON_STRING || !json_string(j, name, &p, &n)) return -1;
    int i = json_find(node, p, n, true);
    if (i < 0) i = json_find(node, p, n, false);
    return i < 0 ? -1 : node->entries[i].col;
}

/* Calls itself for the fields of the image: {"fields": [{"field": "a", "type": "int32"}, ...]}. */
static void read_fields(struct json *j, struct json_line l, const char *image)
{
    struct json_line fields;
    struct json_value name;
    if (!json_member(j, l, "fields", &fields) || json_token(&fields) != '[') return;
    const char *why;
    for (fields.i++; json_more(&fields) && json_token(&fields) == '{';) {
        struct json_line field = fields;
        if (member_value(j, field, "field", &name)) {
            int col = image ? -1 : column_at(j, &name);
            if (image && is_text(j, &name, image)) read_fields(j, field, NULL);
            if (col >= 0) read_meaning(j, field, &j->columns[col]);
        }
        if (json_nested(&fields, &why).kind == JSON_BAD || !json_more(&fields) || json_token(&fields) != ',') return;
        fields.i++;
    }
}

static void forget_meanings(struct json *j, enum json_meaning meaning)
{
    for (int i = 0; i < j->d.schema->n; i++)
        if (!j->columns[i].of_record) json_mean(&j->columns[i], meaning);
}

static void read_schema(struct json *j, const struct json_line *l, bool after)
{
    struct debezium *z = j->debezium;
    const struct json_slot *s = slot(j, SLOT_SCHEMA);
    if (s && s->value.kind != JSON_NESTED) s = NULL;
    if (!s && !z->known) return;
    if (s && z->known && z->schema.n == s->value.n && !memcmp(z->schema.p, s->value.p, s->value.n)) return;
    z->known = s;
    forget_meanings(j, s ? MEANING_PLAIN : MEANING_UNKNOWN);
    if (!s) return;
    struct json_line at = *l;
    at.i = s->at;
    read_fields(j, at, after ? "after" : "before");
    text_clear(&z->schema);
    text_put(&z->schema, s->value.p, s->value.n);
}

/* ---- values ------------------------------------------------------------------------------------------------- */

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* In place; *n becomes the number of bytes. */
static bool base64_bytes(char *p, uint32_t *n)
{
    uint32_t pad = 0, out = 0, word = 0;
    if (*n % 4) return false;
    while (pad < 2 && pad < *n && p[*n - 1 - pad] == '=') pad++;
    for (uint32_t i = 0; i < *n - pad; i++) {
        int d = base64_digit(p[i]);
        if (d < 0) return false;
        word = word << 6 | (uint32_t)d;
        if (i % 4 == 1) p[out++] = (char)(word >> 4);
        if (i % 4 == 2) p[out++] = (char)(word >> 2);
        if (i % 4 == 3) p[out++] = (char)word;
    }
    *n = out;
    return true;
}

/* A copy of a string's text that may be written to. */
static bool own_text(struct json *j, const struct json_value *v, char **p, uint32_t *n)
{
    const char *from;
    if (!json_string(j, v, &from, n)) return false;
    if (from == j->scratch.p) return *p = j->scratch.p, true;
    text_clear(&j->scratch);
    *p = text_room(&j->scratch, *n + 1);
    if (*n) memcpy(*p, from, *n);
    return true;
}

static enum status put_bytes(struct json *j, struct batch *b, void *data, const struct json_value *v, struct err *err)
{
    char *p;
    uint32_t n;
    if (!own_text(j, v, &p, &n) || !base64_bytes(p, &n)) return json_mismatch(TYPE(T_BLOB), v, err);
    struct str s = b ? batch_str(b, p, n) : (struct str){0};
    memcpy(data, &s, sizeof s);
    return ST_OK;
}

/* Big-endian, two's complement. */
static bool whole_number(const char *p, uint32_t n, int128 *out)
{
    if (!n || n > 16) return false;
    unsigned __int128 v = p[0] & 0x80 ? ~(unsigned __int128)0 : 0;
    for (uint32_t i = 0; i < n; i++) v = v << 8 | (uint8_t)p[i];
    *out = (int128)v;
    return true;
}

/* Base64 of a whole number of units of 10^-scale, into any type that its text goes into. */
static enum status put_decimal(struct json *j, struct batch *b, const struct json_column *c, void *data, const struct json_value *v, int scale,
                               struct err *err)
{
    char *p, text[CELL_TEXT_MAX];
    uint32_t n;
    int128 units, most = 1;
    for (int i = 0; i < 38; i++) most *= 10;
    if (!own_text(j, v, &p, &n) || !base64_bytes(p, &n)) return json_mismatch(c->type, v, err);
    if (scale < 0 || scale > 38 || !whole_number(p, n, &units) || units >= most || units <= -most)
        return err_set(err, E_RANGE, "the number has more than 38 digits");
    return decoder_cell(b, c->type, data, text, cell_print(type_decimal(38, scale), &units, text), err);
}

/* {"scale": 2, "value": "BNI="}: a decimal of a column without scale. It is well formed. */
static enum status put_scaled(struct json *j, struct batch *b, const struct json_column *c, void *data, const struct json_value *v, struct err *err)
{
    const char *scale = memmem(v->p, v->n, "\"scale\"", 7), *value = memmem(v->p, v->n, "\"value\"", 7), *end = v->p + v->n;
    int64_t n = 0;
    if (!scale || !value) return json_mismatch(c->type, v, err);
    for (scale += 7; strchr(": \t\r\n", *scale); scale++) {}
    for (value += 7; strchr(": \t\r\n", *value); value++) {}
    size_t digits = strspn(scale, "-0123456789");
    const char *quote = *value == '"' ? memchr(value + 1, '"', (size_t)(end - value - 1)) : NULL;
    if (!cell_parse_int64(scale, digits, &n) || !quote || n < -100 || n > 100) return json_mismatch(c->type, v, err);
    struct json_value text = {JSON_STRING, (uint32_t)(quote + 1 - value), value};
    return put_decimal(j, b, c, data, &text, (int)n, err);
}

/* A string in a DECIMAL column where no schema says how it is spelt. */
static enum status put_unknown_decimal(struct json *j, struct batch *b, struct json_column *c, void *data, const struct json_value *v, struct err *err)
{
    char *p;
    uint32_t n;
    int how = j->debezium->decimals;
    if (how == DECIMALS_PRECISE) return put_decimal(j, b, c, data, v, c->type.scale, err);
    if (how != DECIMALS_UNSET) return ST_MORE;
    _Alignas(16) char unused[16];
    const char *as_text;
    bool text = json_string(j, v, &as_text, &n) && !cell_parse(c->type, as_text, n, unused, NULL);
    if (!own_text(j, v, &p, &n) || !base64_bytes(p, &n)) return ST_MORE;
    if (!text) return put_decimal(j, b, c, data, v, c->type.scale, err);
    return err_set(err, E_CAST, "it may be the number or base64 of another: there is no schema, so decimal.handling.mode is to say");
}

static enum status put_time_number(struct json_column *c, void *data, const struct json_value *v, enum json_meaning meaning, struct err *err)
{
    int64_t mul = c->sense.mul, div = c->sense.div, i;
    struct type t = c->type;
    bool days = meaning == MEANING_DAYS;
    if (meaning == MEANING_UNKNOWN || meaning == MEANING_PLAIN) mul = c->mul, div = c->div;
    if (days || t.id == T_DATE) mul = 86400000000, div = 1;
    if (t.id == T_INTERVAL && meaning != MEANING_DURATION) mul = div = 1;
    if (!mul) return json_no_unit(err);
    if (json_scaled(v, mul, div, &i)) return json_mismatch(t, v, err);
    if (t.id == T_TIME && (i < 0 || i > 86400000000)) return json_mismatch(t, v, err);
    if (t.id == T_DATE) {
        i /= 86400000000;
        memcpy(data, &(int32_t){(int32_t)i}, 4);
    } else if (t.id == T_INTERVAL) {
        memcpy(data, &(struct interval){.us = i}, 16);
    } else {
        memcpy(data, &i, 8);
    }
    return ST_OK;
}

/* Whether numbers of that meaning go into columns of that type by what they count. */
static bool counts(enum json_meaning meaning, struct type t)
{
    bool unknown = meaning == MEANING_UNKNOWN || meaning == MEANING_PLAIN;
    switch (t.id) {
    case T_DATE: return unknown || meaning == MEANING_DAYS;
    case T_TIME: return unknown || meaning == MEANING_TIME;
    case T_TIMESTAMP:
    case T_TIMESTAMPTZ: return unknown || meaning == MEANING_TIMESTAMP || meaning == MEANING_DAYS;
    case T_INTERVAL: return unknown || meaning == MEANING_DURATION;
    default: return false;
    }
}

/* JSON comes as text. */
static enum status put_json(struct json *j, struct batch *b, struct json_column *c, void *data, const struct json_value *v, struct err *err)
{
    const char *p;
    uint32_t n;
    if (!json_string(j, v, &p, &n)) return json_mismatch(c->type, v, err);
    return decoder_cell(b, c->type, data, p, n, err);
}

enum status debezium_cell(struct json *j, struct batch *b, struct json_column *c, void *data, const struct json_value *v, struct err *err)
{
    struct type t = c->type;
    enum json_meaning meaning = c->sense.meaning;
    if (c->of_record) return ST_MORE;
    if (v->kind == JSON_NUMBER && counts(meaning, t)) return put_time_number(c, data, v, meaning, err);
    if (v->kind == JSON_STRING && t.id == T_JSON) return put_json(j, b, c, data, v, err);
    if (v->kind == JSON_STRING && t.id == T_BLOB && meaning != MEANING_PLAIN) return put_bytes(j, b, data, v, err);
    if (v->kind == JSON_STRING && meaning == MEANING_DECIMAL) return put_decimal(j, b, c, data, v, c->sense.scale, err);
    if (v->kind == JSON_STRING && meaning == MEANING_UNKNOWN && t.id == T_DECIMAL) return put_unknown_decimal(j, b, c, data, v, err);
    if (v->kind == JSON_NESTED && (meaning == MEANING_DECIMAL || (meaning == MEANING_UNKNOWN && t.id == T_DECIMAL)))
        return put_scaled(j, b, c, data, v, err);
    return ST_MORE;
}

/* ---- the class ------------------------------------------------------------------------------------------------ */

static void keep(struct json *j, int node, const char *name, int number)
{
    json_entry_of(j, node, name, strlen(name))->slot = number;
}

/* Columns that begin with __ are the event's: __source_x is x of its source, __x is x. Their times tell their unit. */
static void place_event_column(struct json *j, int envelope, int col)
{
    const char *name = j->d.schema->fields[col].name + 2;
    bool of_source = !strncmp(name, "source_", 7);
    struct json_column *c = &j->columns[col];
    size_t n = strlen(name);
    if (n > 3 && name[n - 3] == '_') json_unit(name + n - 2, &c->mul, &c->div);
    c->of_record = true;
    if (of_source) envelope = json_child_of(j, envelope, "source", 6), name += 7, n -= 7;
    json_entry_of(j, envelope, name, n)->col = col;
}

static void place_envelope(struct json *j, int envelope)
{
    keep(j, envelope, "before", SLOT_BEFORE);
    keep(j, envelope, "after", SLOT_ROWS);
    keep(j, envelope, "op", SLOT_OP);
    for (int i = 0; i < j->d.schema->n; i++)
        if (!strncmp(j->d.schema->fields[i].name, "__", 2)) place_event_column(j, envelope, i);
}

static enum status debezium_open(struct decoder *d, const struct options *o, const char *head, size_t head_n, struct err *err)
{
    struct json *j = (struct json *)d;
    (void)head, (void)head_n;
    TRY(json_begin(j, o, err));
    j->debezium = mem_zalloc(sizeof *j->debezium);
    if (options_has(o, "decimal.handling.mode")) j->debezium->decimals = 1 + options_int(o, "decimal.handling.mode");
    j->root = json_node_new(j);
    j->rows = json_node_new(j);
    place_envelope(j, j->root);
    place_envelope(j, json_child_of(j, j->root, "payload", 7));
    keep(j, j->root, "payload", SLOT_PAYLOAD);
    keep(j, j->root, "schema", SLOT_SCHEMA);
    for (int i = 0; i < d->schema->n; i++)
        if (!j->columns[i].of_record) json_entry_of(j, j->rows, d->schema->fields[i].name, strlen(d->schema->fields[i].name))->col = i;
    return ST_OK;
}

static void debezium_close(struct decoder *d)
{
    struct json *j = (struct json *)d;
    if (j->debezium) text_done(&j->debezium->schema);
    mem_free(j->debezium);
    json_close(d);
}

static const struct option_spec debezium_options[] = {
    {"epoch.unit", OPT_ENUM, NULL, 0, "s|ms|us|ns", 0, 0,
     "What a number in a TIMESTAMP or TIME column counts where events have no schema; without it such a number is an error.", NULL},
    {"decimal.handling.mode", OPT_ENUM, NULL, 0, "precise|string|double", 0, 0,
     "What a DECIMAL is where events have no schema, as Debezium's option of that name says: base64 of its digits, text, or a number; "
     "by default what it can only be.", NULL},
    {NULL, OPT_TEXT, NULL, 0, NULL, 0, 0, NULL, NULL},
};

const struct decoder_class debezium_decoder = {
    .name = "debezium",
    .size = sizeof(struct json),
    .options = debezium_options,
    .skips_none = true,
    .open = debezium_open,
    .next = json_next,
    .records = json_records,
    .close = debezium_close,
};
