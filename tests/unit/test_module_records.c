/* Outside classes whose payload is records: whatever is bad, and however records are cut into batches, metadata stays
 * beside its record; what a class must not do is refused; a sink gets each row's value. SPDX-License-Identifier:
 * Apache-2.0 */
#include "api_harness.h"

#include "arrow/batch.h"
#include "plan/plan.h"
#include "runtime/deliver_records.h"

#include <laminar_connector.h>

/* ---- a toy source: records 0..n-1 in two splits, with bad values, tombstones and keys that are no text -------------
 */

enum { N = 10000, SPLITS = 2 };
static enum { GOOD, TOO_MANY, SHORT_METADATA, LONG_PLACE, NO_METADATA, FAILS, WITHOUT_A_WORD, ARRAYS } mode;
static uint64_t allocations[SPLITS][2];

struct toy {
    int64_t at[SPLITS];
    int polls[SPLITS];
    uint8_t valid[1024 + 1];
    int32_t ends[8192 + 1];
    char keys[8192 * 16];
    int64_t numbers[8192];
    const void *none[1], *key_buffers[3], *number_buffers[2];
    struct ArrowArray children[2], *list[2];
};

static bool is_bad(int64_t i)
{
    return i % 7 == 2;
}
static bool is_gone(int64_t i)
{
    return i % 5 == 4;
}
static bool key_is_bad(int64_t i)
{
    return i % 11 == 6;
}
static bool has_key(int64_t i)
{
    return i % 3 != 1;
}

/* ARRAYS: how many rows a record that is good has. */
static int rows_of(int64_t i)
{
    return (int)(i % 4);
}

static int toy_open(struct lam_io *io, struct lam_error *err)
{
    return (void)io, (void)err, LAM_IO_OK;
}
static int toy_splits(struct lam_io *io)
{
    return (void)io, SPLITS;
}
static const char *toy_split_name(struct lam_io *io, int split)
{
    return (void)io, split ? "odd" : "even";
}
static int toy_seek(struct lam_io *io, int split, const struct lam_position *at, struct lam_error *err)
{
    (void)err;
    ((struct toy *)io->self)->at[split] = at ? at->offset + SPLITS : split;
    return LAM_IO_OK;
}
static void stays(struct ArrowArray *a)
{
    a->release = NULL;
}

static void give_metadata(struct lam_io *io, struct lam_records *out)
{
    struct toy *t = io->self;
    t->key_buffers[0] = t->valid, t->key_buffers[1] = t->ends, t->key_buffers[2] = t->keys,
    t->number_buffers[1] = t->numbers;
    int64_t length = out->n - (mode == SHORT_METADATA), n = io->metadata->n_children;
    for (int64_t i = 0; i < n; i++) {
        bool key = !strcmp(io->metadata->children[i]->name, "_key");
        assert_string_equal(io->metadata->children[i]->format,
                            key ? "z" : "l"); /* the class's types, whatever the user's */
        t->children[i] = (struct ArrowArray){.length = length,
                                             .null_count = -1,
                                             .n_buffers = key ? 3 : 2,
                                             .buffers = key ? t->key_buffers : t->number_buffers,
                                             .release = stays};
        t->list[i] = &t->children[i];
    }
    out->metadata = (struct ArrowArray){
        .length = length, .n_buffers = 1, .buffers = t->none, .n_children = n, .children = t->list, .release = stays};
}

static void note(struct toy *t, int64_t row, int64_t i)
{
    int n = has_key(i) ? sprintf(t->keys + t->ends[row], "key %ld", (long)i) : 0;
    if (n && key_is_bad(i)) t->keys[t->ends[row]] = (char)0xff;
    t->ends[row + 1] = t->ends[row] + n;
    t->numbers[row] = i;
    t->valid[row / 8] = (uint8_t)((t->valid[row / 8] & ~(1 << row % 8)) | has_key(i) << row % 8);
}

static int toy_poll(struct lam_io *io, int split, int64_t now, struct lam_records *out, struct lam_error *err)
{
    (void)now;
    struct toy *t = io->self;
    if (mode == FAILS) return (io->host->fail)(err, LAM_IO_READ, "no luck");
    if (mode == WITHOUT_A_WORD) return LAM_IO_CONNECT;
    int polls = ++t->polls[split];
    if (polls % 4 == 0) return LAM_IO_WAIT;
    int64_t most = polls % 3 ? out->max : 1 + polls % 17;
    bool more = true;
    while ((more || mode == TOO_MANY) && out->n < most + (mode == TOO_MANY) && t->at[split] < N) {
        int64_t i = t->at[split];
        char text[200], *room = io->host->record_room(out, 10);
        memcpy(room, "{\"v\":\"\",\"k", 10);
        int n = snprintf(text, sizeof text, is_bad(i) ? "{\"v\":\"\",\"k\":%ld" : "{\"v\":\"\",\"k\":%ld%*s}", (long)i,
                         (int)(i % 100), "");
        if (mode == ARRAYS && !is_bad(i)) {
            n = snprintf(text, sizeof text, "[");
            for (int k = 0; k < rows_of(i); k++) n += snprintf(text + n, sizeof text - (size_t)n, "%s{\"v\":\"\",\"k\":%ld}", k ? "," : "", (long)i);
            n += snprintf(text + n, sizeof text - (size_t)n, "]");
        }
        struct lam_position after = {.offset = i, .n = mode == LONG_PLACE ? 1000 : 0};
        if (out->n < 8192) note(t, out->n, i);
        if (is_gone(i)) {
            more = io->host->record(out, NULL, 0, &after);
        } else if (i % 2 || mode == ARRAYS) {
            more = io->host->record(out, text, (size_t)n, &after);
        } else { /* in two steps, in place */
            room = io->host->record_room(out, (size_t)n);
            assert_memory_equal(room, text, 10);
            memcpy(room + 10, text + 10, (size_t)n - 10);
            more = io->host->record(out, room, (size_t)n, &after);
        }
        t->at[split] += SPLITS;
    }
    if (polls == 40) allocations[split][0] = lam_memory_allocations();
    if (polls == 80) allocations[split][1] = lam_memory_allocations();
    if (mode != NO_METADATA) give_metadata(io, out);
    return t->at[split] < N ? LAM_IO_OK : LAM_IO_DONE;
}

static int toy_wait(struct lam_io *io, int split, struct pollfd *fds, int max, int64_t *at)
{
    (void)split, (void)fds, (void)max;
    *at = io->host->now(io);
    return 0;
}
static void toy_close(struct lam_io *io)
{
    (void)io;
}
static bool toy_bounded(const struct lam_host *host, const struct lam_options *o)
{
    return (void)host, (void)o, true;
}

static const struct lam_metadata metadata[] = {{"_key", "BLOB", "The key."}, {"_n", "BIGINT", "The number."}};
static const struct lam_source_class source_class = {.size = sizeof source_class,
                                                     .name = "toy.messages",
                                                     .sentence = "A toy.",
                                                     .payload = LAM_RECORDS,
                                                     .replayable = true,
                                                     .instance_size = sizeof(struct toy),
                                                     .default_format = "json",
                                                     .bounded = toy_bounded,
                                                     .open = toy_open,
                                                     .splits = toy_splits,
                                                     .split_name = toy_split_name,
                                                     .seek = toy_seek,
                                                     .poll_records = toy_poll,
                                                     .wait = toy_wait,
                                                     .close = toy_close,
                                                     .metadata = metadata,
                                                     .n_metadata = 2,
                                                     .metadata_size = sizeof metadata[0]};

/* ---- a toy sink --------------------------------------------------------------------------------------------- */

static char written[1 << 16];
static size_t nwritten;
static int64_t at_once;
static bool plain_values;

static int sink_open(struct lam_io *io, uint64_t incarnation, uint64_t *marker, bool *fresh, struct lam_error *err)
{
    (void)incarnation, (void)marker, (void)fresh, (void)err;
    if (!nwritten)
        nwritten =
            (size_t)sprintf(written, "%ld of %ld;", (long)io->metadata->n_children, (long)io->schema->n_children);
    return LAM_IO_OK;
}
/* As many as at_once; what holds "poison" is refused. */
static int sink_write(struct lam_io *io, const struct lam_values *v, const struct lam_rows *rows, int64_t *accepted,
                      struct lam_error *err)
{
    assert_true(v->n > 0 && rows->from + v->n <= rows->array->length);
    for (int64_t i = 0; i < v->n && i < at_once; i++) {
        const char *p = v->bytes + v->offsets[i];
        int n = (int)(v->offsets[i + 1] - v->offsets[i]);
        if (memmem(p, (size_t)n, "poison", 6)) return (io->host->fail)(err, LAM_IO_POISON, "I do not take that");
        int weight = rows->weight ? rows->weight[rows->from + i] : 1;
        nwritten += (size_t)sprintf(written + nwritten, "%s%.*s%s;", weight < 0 ? "-" : "", n, p,
                                    v->none && v->none[i] ? "none" : "");
        ++*accepted;
    }
    return LAM_IO_OK;
}
static int toy_sink_close(struct lam_io *io, bool complete, struct lam_error *err)
{
    return (void)io, (void)complete, (void)err, LAM_IO_OK;
}
static bool unmarked(const struct lam_host *host, const struct lam_options *o)
{
    return (void)host, (void)o, plain_values;
}

static const struct lam_sink_class sink_class = {.size = sizeof sink_class,
                                                 .name = "toy.messages",
                                                 .sentence = "A toy.",
                                                 .payload = LAM_RECORDS,
                                                 .guarantee = LAM_AT_LEAST_ONCE,
                                                 .changelog = true,
                                                 .default_format = "json",
                                                 .open = sink_open,
                                                 .write_records = sink_write,
                                                 .close = toy_sink_close,
                                                 .metadata = metadata,
                                                 .n_metadata = 2,
                                                 .metadata_size = sizeof metadata[0],
                                                 .unmarked = unmarked};

static const struct lam_source_class *const sources[] = {&source_class, NULL};
static const struct lam_sink_class *const sinks[] = {&sink_class, NULL};
static const struct lam_module toys = {
    .size = sizeof toys, .abi = LAM_CONNECTOR_ABI, .name = "toys", .version = "1", .sources = sources, .sinks = sinks};

/* ---- sources ------------------------------------------------------------------------------------------------ */

static int setup(void **state)
{
    (void)state;
    mode = GOOD;
    at_once = 3;
    plain_values = false;
    return lam_register_connector(&toys);
}

/* The one row of a query. */
static void query(struct lam_session *s, const char *sql, int64_t *out, int n)
{
    struct ArrowArrayStream rows = {0};
    struct ArrowArray a = {0};
    if (lam_execute(s, sql, &rows)) fail_msg("%s", lam_errdetail(s, "test"));
    assert_int_equal(rows.get_next(&rows, &a), 0);
    assert_non_null(a.release);
    for (int i = 0; i < n; i++) out[i] = cell(&a, i, 0);
    a.release(&a);
    rows.release(&rows);
}

/* What must come: rows, rows with a key, sum of numbers; a bad key loses its record, or itself. */
static void expect(const char *on_error, bool text_key, int64_t want[3])
{
    want[0] = want[1] = want[2] = 0;
    for (int64_t i = 0; i < N; i++) {
        bool bad_key = text_key && has_key(i) && key_is_bad(i), skip = !strcmp(on_error, "skip");
        if ((is_bad(i) && !is_gone(i)) || (bad_key && skip)) continue;
        want[0]++;
        want[1] += has_key(i) && !bad_key;
        want[2] += i;
    }
}

static void metadata_stays_beside_its_record(void **state)
{
    (void)state;
    static const char *const policies[] = {"skip", "null"}, *const types[] = {"BLOB", "VARCHAR"};
    static const int batches[] = {1, 3, 100, 2048, 8192};
    for (int threads = 0; threads < 2; threads++)
        for (size_t p = 0; p < 2; p++)
            for (size_t t = 0; t < 2; t++)
                for (size_t b = 0; b < 5; b++) {
                    struct lam_db *db = open_db(threads);
                    struct lam_session *s = open_session(db);
                    char sql[500];
                    int64_t got[5], want[3];
                    if (batches[b] == 1 && (threads || p)) { /* slow, and no other */
                        close_both(db, s);
                        continue;
                    }
                    snprintf(sql, sizeof sql,
                             "CREATE SOURCE m (v VARCHAR, _key %s, k BIGINT, _n BIGINT) FROM \"toy.messages\" "
                             "(batch.rows = %d, on_error = '%s')",
                             types[t], batches[b], policies[p]);
                    run(s, sql);
                    expect(policies[p], t == 1, want);
                    query(s,
                          "SELECT count(*), count(_key), CAST(sum(_n) AS BIGINT), count(*) FILTER (WHERE k <> _n), "
                          "count(k) FROM m",
                          got, 5);
                    assert_int_equal(got[0], want[0]);
                    assert_int_equal(got[1], want[1]);
                    assert_int_equal(got[2], want[2]);
                    assert_int_equal(got[3], 0);
                    query(s, "SELECT count(*) FROM m WHERE k IS NULL AND _n % 5 <> 4", got, 1);
                    assert_int_equal(got[0], 0);
                    if (t == 1) {
                        query(s, "SELECT count(*) FROM m WHERE _key <> 'key ' || CAST(_n AS VARCHAR)", got, 1);
                        assert_int_equal(got[0], 0);
                    }
                    close_both(db, s);
                }
}

/* A record may have several rows, which all have its metadata, or none; tombstones are rows of metadata alone. */
static void metadata_stays_beside_all_rows_of_its_record(void **state)
{
    (void)state;
    static const int batches[] = {2, 100, 8192};
    mode = ARRAYS;
    for (size_t b = 0; b < countof(batches); b++)
        for (int text_key = 0; text_key < 2; text_key++) {
            struct lam_db *db = open_db(1);
            struct lam_session *s = open_session(db);
            char sql[300];
            int64_t got[4], want[3] = {0};
            for (int64_t i = 0; i < N; i++) {
                int rows = is_gone(i) ? 1 : is_bad(i) ? 0 : rows_of(i);
                if (text_key && has_key(i) && key_is_bad(i)) rows = 0;
                want[0] += rows, want[1] += has_key(i) ? rows : 0, want[2] += rows * i;
            }
            snprintf(sql, sizeof sql, "CREATE SOURCE m (v VARCHAR, _key %s, k BIGINT, _n BIGINT) FROM \"toy.messages\" (batch.rows = %d, json.path = '$')",
                     text_key ? "VARCHAR" : "BLOB", batches[b]);
            run(s, sql);
            query(s, "SELECT count(*), count(_key), CAST(sum(_n) AS BIGINT), count(*) FILTER (WHERE k <> _n) FROM m", got, 4);
            for (int i = 0; i < 3; i++) assert_int_equal(got[i], want[i]);
            assert_int_equal(got[3], 0);
            close_both(db, s);
        }
}

static void fails(struct lam_session *s, const char *columns, const char *options, const char *why)
{
    char sql[300];
    struct ArrowArrayStream rows = {0};
    struct ArrowArray a = {0};
    snprintf(sql, sizeof sql, "CREATE SOURCE m (%s) FROM \"toy.messages\" (%s)", columns, options);
    int code = lam_execute(s, sql, NULL);
    const char *said = lam_errmsg(s);
    if (!code) code = lam_execute(s, "SELECT * FROM m", &rows);
    said = lam_errmsg(s);
    while (!code && !(code = rows.get_next(&rows, &a)) && a.release) a.release(&a);
    if (rows.release && code) said = rows.get_last_error(&rows);
    if (!code || !strstr(said, why)) fail_msg("%s: %d %s", why, code, said);
    if (rows.release) rows.release(&rows);
    lam_execute(s, "DROP SOURCE m", NULL);
}

static void wrongs_are_named(void **state)
{
    (void)state;
    struct lam_db *db = open_db(1);
    struct lam_session *s = open_session(db);
#define ALL "v VARCHAR, _key BLOB, k BIGINT, _n BIGINT"
    fails(s, "k BIGINT, _n INTEGER", "", "column '_n' of toy.messages is BIGINT, not INTEGER");
    fails(s, "k BIGINT, _key VARCHAR(3)", "", "column '_key' of toy.messages is BLOB, not VARCHAR");
    fails(s, "k BIGINT, _key JSON", "", "column '_key' of toy.messages is BLOB, not JSON");
    fails(s, ALL, "format = 'raw'", "and there are 2");
    fails(s, ALL, "on_error = 'fail'", "record 2 of even: the object does not end: {\"v\":\"\",\"k\":2");
    fails(s, "v VARCHAR, _key VARCHAR", "format = 'raw', on_error = 'fail'",
          "record 6 of even, column \"_key\": invalid UTF-8");
    mode = TOO_MANY;
    fails(s, ALL, "", "gave more records than were asked for");
    mode = SHORT_METADATA;
    fails(s, ALL, "", "rows of metadata for");
    mode = LONG_PLACE;
    fails(s, ALL, "", "gave a position that is too long");
    mode = FAILS;
    fails(s, ALL, "", "no luck");
    mode = WITHOUT_A_WORD;
    fails(s, ALL, "", "without saying why");
    mode = NO_METADATA;
    run(s, "CREATE SOURCE m (" ALL ") FROM \"toy.messages\" (on_error = 'skip')");
    int64_t got[3];
    query(s, "SELECT count(*), count(_key), count(_n) FROM m", got, 3);
    assert_true(got[0] > 5000 && !got[1] && !got[2]);
    close_both(db, s);
}

static void the_bad_become_letters(const char *options)
{
    struct lam_db *db = open_db(1);
    struct lam_session *s = open_session(db);
    nwritten = 0;
    at_once = 100;
    char sql[500];
    snprintf(sql, sizeof sql,
             "CREATE STREAM bad (position BIGINT);"
             "CREATE SOURCE m (k BIGINT, _key VARCHAR) FROM \"toy.messages\" (dead_letter = 'bad', batch.rows = 700%s);"
             "CREATE SINK a FROM m INTO BLACKHOLE; CREATE SINK b FROM bad INTO \"toy.messages\" (format = 'csv')",
             options);
    run(s, sql);
    assert_int_equal(lam_wait(db, s, LONG_TIME), LAM_OK);
    close_both(db, s);
    static bool bad[N];
    memset(bad, 0, sizeof bad);
    for (char *p = strchr(written, ';') + 1; *p; p = strchr(p, ';') + 1) {
        int64_t i = strtoll(p, NULL, 10);
        assert_false(bad[i]);
        bad[i] = true;
    }
    for (int64_t i = 0; i < N; i++)
        assert_int_equal(bad[i], (is_bad(i) && !is_gone(i)) || (has_key(i) && key_is_bad(i) && (mode != ARRAYS || is_gone(i) || rows_of(i))));
}

/* Good records without rows are none of them. */
static void the_bad_become_dead_letters(void **state)
{
    (void)state;
    the_bad_become_letters("");
    mode = ARRAYS;
    the_bad_become_letters(", json.path = '$'");
}

static void nothing_is_allocated_once_warm(void **state)
{
    (void)state;
    struct lam_db *db = open_db(0);
    struct lam_session *s = open_session(db);
    int64_t got[1];
    run(s, "CREATE SOURCE m (v VARCHAR, _key VARCHAR, k BIGINT, _n BIGINT) FROM \"toy.messages\" (batch.rows = 50)");
    query(s, "SELECT count(*) FROM m WHERE k < 0 AND _key < 'x'", got, 1);
    close_both(db, s);
    for (int i = 0; i < SPLITS; i++)
        assert_in_range(allocations[i][1] - allocations[i][0], 0, 4); /* the odd growth of a pool */
}

/* ---- sinks --------------------------------------------------------------------------------------------------- */

/* Rows v = 1..n of a pushed source go through a sink made by sql. */
static void write_rows(const char *sql, int64_t n)
{
    struct lam_db *db = open_db(1);
    struct lam_session *s = open_session(db);
    nwritten = 0;
    run(s, "CREATE SOURCE s (v BIGINT)");
    run(s, sql);
    int64_t cells[100];
    for (int64_t i = 0; i < n; i++) cells[i] = i + 1;
    assert_int_equal(push(db, "s", "v:l", cells, n, -1), LAM_OK);
    lam_push_end(db, "s");
    assert_int_equal(lam_wait(db, s, LONG_TIME), LAM_OK);
    close_both(db, s);
}

static void each_row_is_a_value(void **state)
{
    (void)state;
    write_rows("CREATE SINK o FROM (SELECT v, 'key' AS _key, v * 2 AS w FROM s) INTO \"toy.messages\"", 5);
    assert_string_equal(
        written, "1 of 3;{\"v\":1,\"w\":2};{\"v\":2,\"w\":4};{\"v\":3,\"w\":6};{\"v\":4,\"w\":8};{\"v\":5,\"w\":10};");
    write_rows("CREATE SINK o FROM (SELECT v, 'a,b' AS t, v AS _n FROM s) INTO \"toy.messages\" (format = 'csv')", 2);
    assert_string_equal(written, "1 of 3;1,\"a,b\";2,\"a,b\";");
    write_rows("CREATE SINK o FROM (SELECT CAST(NULLIF(v, 2) AS VARCHAR) AS t, v AS _n FROM s) INTO \"toy.messages\" "
               "(format = 'raw')",
               4);
    assert_string_equal(written, "1 of 2;1;none;3;4;");
    write_rows("CREATE SINK o FROM (SELECT CASE WHEN v IN (1, 4, 5) THEN 'poison' ELSE 'x' END AS t, v FROM s) INTO "
               "\"toy.messages\"",
               6);
    assert_string_equal(written, "0 of 2;{\"t\":\"x\",\"v\":2};{\"t\":\"x\",\"v\":3};{\"t\":\"x\",\"v\":6};");
}

/* Rows v = 7, 8, 9, the second taken back, through a writer; the third is offered to a second instance. */
static const char *write_changes(void)
{
    static const int8_t weights[] = {1, -1, 1};
    struct arena *a = arena_new();
    struct pool *pool = pool_new(NULL);
    struct account account;
    struct options *o;
    const struct option_spec *tables[] = {sink_options};
    assert_int_equal(options_read(a, "it", tables, 1, NULL, 0, &o, NULL), ST_OK);
    struct schema *s = schema_new(a, 2);
    s->fields[0] = (struct field){.name = "_n", .type = TYPE(T_INT64)};
    s->fields[1] = (struct field){.name = "v", .type = TYPE(T_INT64)};
    const struct sink_class *c = sink_find("toy.messages");
    struct connector_info info = {.class = c};
    struct format_info json = {.class = encoder_find("json")};
    struct plan plan = {.stream = STREAM_CHANGELOG};
    struct object object = {.connector = &info, .format = &json, .options = o, .schema = s, .plan = &plan, .name = "o"};
    struct batch *b = batch_for(pool, s, 3);
    for (int i = 0; i < 3; i++) ((int64_t *)b->cols[0].data)[i] = i, ((int64_t *)b->cols[1].data)[i] = 7 + i;
    b->rows = 3;
    b->weight = weights;
    account_init(&account, NULL, 0);
    struct connector_ctx ctx = {
        .env = env_real(), .account = &account, .options = o, .schema = s, .declared = s, .name = "o"};
    struct record_writer *w;
    uint64_t marker;
    uint32_t took;
    size_t bytes = 0;
    bool fresh;
    nwritten = 0;
    assert_int_equal(record_writer_new(pool, &object, &w, NULL), ST_OK);
    at_once = 2;
    for (int i = 0; i < 2; i++) {
        struct sink *k = sink_new(c, &ctx);
        assert_int_equal(c->open(k, 1, &marker, &fresh, NULL), ST_OK);
        assert_int_equal(record_writer_write(w, k, b, i ? 2 : 0, &took, &bytes, NULL), ST_OK);
        assert_int_equal(took, i ? 1 : 2);
        c->close(k, true, NULL);
        sink_free(k);
    }
    assert_int_equal(bytes, strlen(written) - strlen("1 of 2;") - 4);
    record_writer_free(w);
    batch_unref(b);
    pool_close(pool);
    arena_free(a);
    return written;
}

static void changes_are_marked_or_not(void **state)
{
    (void)state;
    assert_string_equal(write_changes(), "1 of 2;{\"w\":1,\"v\":7};-{\"w\":-1,\"v\":8};{\"w\":1,\"v\":9};");
    plain_values = true;
    assert_string_equal(write_changes(), "1 of 2;{\"v\":7};-{\"v\":8};{\"v\":9};");
}

static void types_of_metadata_are_checked(void **state)
{
    (void)state;
    struct lam_db *db = open_db(1);
    struct lam_session *s = open_session(db);
    run(s, "CREATE SOURCE s (v BIGINT)");
    assert_int_not_equal(
        lam_execute(s, "CREATE SINK o FROM (SELECT v, CAST(v AS INTEGER) AS _n FROM s) INTO \"toy.messages\"", NULL),
        0);
    assert_non_null(strstr(lam_errmsg(s), "column '_n' of toy.messages is BIGINT, not INTEGER"));
    assert_int_not_equal(lam_execute(s, "CREATE SINK o FROM s INTO \"toy.messages\" (format = 'box')", NULL), 0);
    assert_non_null(
        strstr(lam_errmsg(s), "the format 'box' does not go with the toy.messages sink, which has values one by one"));
    close_both(db, s);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        T(metadata_stays_beside_its_record), T(wrongs_are_named),    T(the_bad_become_dead_letters),
        T(nothing_is_allocated_once_warm),   T(each_row_is_a_value), T(changes_are_marked_or_not),
        T(types_of_metadata_are_checked),
        T(metadata_stays_beside_all_rows_of_its_record)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
