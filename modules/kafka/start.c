/* SPDX-License-Identifier: Apache-2.0 */
#include "start.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN_MS 100

/* The answer that did not come is explained by what was said of the connection. */
static int broken(struct lam_io *io, rd_kafka_t *rk, rd_kafka_resp_err_t e, const char *what, struct lam_error *err)
{
    const struct trouble *t = io->self;
    const char *why = rd_kafka_err2str(e);
    rd_kafka_poll(rk, 0);
    int result = client_class(e, LAM_IO_READ);
    bool away = result == LAM_IO_CONNECT || result == LAM_IO_TIMEOUT;
    if (away && t->e) why = t->text, result = client_class(t->e, LAM_IO_CONNECT);
    io->host->fail(err, result, "%s: %s", what, why);
    if (away)
        io->host->hint(
            err, "see that the brokers run, that bootstrap.servers names them, and that security.protocol is theirs");
    return result;
}

/* ---- topics */

static void add_topic(const struct rd_kafka_metadata_topic *t, rd_kafka_topic_partition_list_t *out)
{
    for (int i = 0; i < t->partition_cnt; i++)
        if (!rd_kafka_topic_partition_list_find(out, t->topic, t->partitions[i].id))
            rd_kafka_topic_partition_list_add(out, t->topic, t->partitions[i].id);
}

static rd_kafka_resp_err_t add_named(rd_kafka_t *rk, const char *name, int ms, rd_kafka_topic_partition_list_t *out,
                                     const char **what)
{
    const struct rd_kafka_metadata *m;
    rd_kafka_topic_t *t = rd_kafka_topic_new(rk, name, NULL);
    rd_kafka_resp_err_t e = t ? rd_kafka_metadata(rk, 0, t, &m, ms) : rd_kafka_last_error();
    if (t) rd_kafka_topic_destroy(t);
    if (e) return e;
    e = m->topic_cnt ? m->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (!e) add_topic(&m->topics[0], out);
    rd_kafka_metadata_destroy(m);
    *what = name;
    return e;
}

static rd_kafka_resp_err_t add_list(rd_kafka_t *rk, const char *names, int ms, rd_kafka_topic_partition_list_t *out,
                                    struct start_error *why)
{
    while (*names && !why->e) {
        names += strspn(names, ", ");
        size_t n = strcspn(names, ", ");
        const char *what = why->what;
        if (n >= sizeof why->name) n = sizeof why->name - 1; /* which no topic has, as the brokers will say */
        memcpy(why->name, names, n);
        why->name[n] = 0;
        if (n) why->e = add_named(rk, why->name, ms, out, &what);
        if (why->e) why->what = what;
        names += strcspn(names, ", ");
    }
    return why->e;
}

/* Topics whose names begin with two underscores are the brokers' own. */
static rd_kafka_resp_err_t add_matching(rd_kafka_t *rk, const char *pattern, int ms,
                                        rd_kafka_topic_partition_list_t *out, struct start_error *why)
{
    const struct rd_kafka_metadata *m;
    regex_t re;
    why->bad_pattern = regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB);
    if (why->bad_pattern) return why->e = RD_KAFKA_RESP_ERR__INVALID_ARG;
    why->e = rd_kafka_metadata(rk, 1, NULL, &m, ms);
    for (int i = 0; !why->e && i < m->topic_cnt; i++)
        if (strncmp(m->topics[i].topic, "__", 2) && !regexec(&re, m->topics[i].topic, 0, NULL, 0))
            add_topic(&m->topics[i], out);
    if (!why->e) rd_kafka_metadata_destroy(m);
    regfree(&re);
    return why->e;
}

rd_kafka_resp_err_t start_ask(const struct lam_io *io, rd_kafka_t *rk, int ms, rd_kafka_topic_partition_list_t *out,
                              struct start_error *why)
{
    const char *names = io->host->option_text(io->options, "topic");
    *why = (struct start_error){.what = "its topics"};
    if (names) return add_list(rk, names, ms, out, why);
    return add_matching(rk, io->host->option_text(io->options, "topic.pattern"), ms, out, why);
}

int start_partitions(struct lam_io *io, rd_kafka_t *rk, rd_kafka_topic_partition_list_t *out, struct lam_error *err)
{
    const char *names = io->host->option_text(io->options, "topic"),
               *pattern = io->host->option_text(io->options, "topic.pattern");
    struct start_error why;
    if (!names == !pattern) {
        io->host->fail(err, LAM_IO_OPTION, "%s", names ? "both topic and topic.pattern" : "no topic");
        io->host->hint(err, "set one of topic and topic.pattern");
        return LAM_IO_OPTION;
    }
    rd_kafka_resp_err_t e = start_ask(io, rk, START_MS, out, &why);
    if (why.bad_pattern)
        return io->host->fail(err, LAM_IO_OPTION, "topic.pattern '%s' is no regular expression", pattern);
    if (e == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        io->host->fail(err, LAM_IO_CONNECT, "there is no topic '%s'", why.what);
        io->host->hint(err, "make it, or name topics that there are by topic or topic.pattern");
        return LAM_IO_CONNECT;
    }
    if (e) return broken(io, rk, e, why.what, err);
    if (!out->cnt) return io->host->fail(err, LAM_IO_OPTION, "there is no topic '%s'", names ? names : pattern);
    rd_kafka_topic_partition_list_sort(out, NULL, NULL);
    return LAM_IO_OK;
}

/* ---- offsets */

/* Brokers that are just changing places say so; `until` bounds how long they may. */
static bool passes(struct lam_io *io, rd_kafka_t *rk, rd_kafka_resp_err_t e, int64_t until)
{
    if (e <= 0 || e == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || client_class(e, LAM_IO_OK) != LAM_IO_CONNECT) return false;
    if (io->host->now(io) >= until) return false;
    rd_kafka_poll(rk, AGAIN_MS);
    return true;
}

/* Not rd_kafka_query_watermark_offsets: when one of its two requests fails it may give the other's answer for both, and
 * no error. */
int start_query(struct lam_io *io, rd_kafka_t *rk, rd_kafka_topic_partition_list_t *l, int64_t which,
                struct lam_error *err)
{
    int64_t until = io->host->now(io) + START_MS * 1000;
    const char *what;
    rd_kafka_resp_err_t e;
    if (!l->cnt) return LAM_IO_OK;
    do {
        what = "the offsets of its partitions";
        for (int i = 0; i < l->cnt; i++) l->elems[i].offset = which;
        e = rd_kafka_offsets_for_times(rk, l, START_MS);
        for (int i = 0; !e && i < l->cnt; i++) e = l->elems[i].err, what = l->elems[i].topic;
    } while (passes(io, rk, e, until));
    return e ? broken(io, rk, e, what, err) : LAM_IO_OK;
}

/* Where it says "at the end": behind the last message that there is now. */
static int set_ends(struct lam_io *io, rd_kafka_t *rk, rd_kafka_topic_partition_list_t *l, struct lam_error *err)
{
    rd_kafka_topic_partition_list_t *some = rd_kafka_topic_partition_list_new(l->cnt);
    for (int i = 0; i < l->cnt; i++)
        if (l->elems[i].offset == RD_KAFKA_OFFSET_END)
            rd_kafka_topic_partition_list_add(some, l->elems[i].topic, l->elems[i].partition);
    int result = start_query(io, rk, some, RD_KAFKA_OFFSET_END, err);
    for (int i = 0; !result && i < some->cnt; i++)
        rd_kafka_topic_partition_list_find(l, some->elems[i].topic, some->elems[i].partition)->offset = some->elems[i].offset;
    rd_kafka_topic_partition_list_destroy(some);
    return result;
}

static int set_times(struct lam_io *io, rd_kafka_t *rk, rd_kafka_topic_partition_list_t *l, struct lam_error *err)
{
    int result = start_query(io, rk, l, io->host->option_int(io->options, "startup.timestamp.ms"), err);
    return result ? result : set_ends(io, rk, l, err);
}

/* "0:17,1:4"; the partitions that are not named begin at the beginning. */
static int set_numbers(struct lam_io *io, rd_kafka_topic_partition_list_t *l, struct lam_error *err)
{
    const char *text = io->host->option_text(io->options, "startup.specific.offsets");
    for (const char *p = text; *p;) {
        char *rest;
        long partition = strtol(p, &rest, 10), found = 0;
        bool ok = rest > p && *rest == ':' && rest[1] >= '0' && rest[1] <= '9';
        long long offset = ok ? strtoll(rest + 1, &rest, 10) : 0;
        if (!ok || (*rest && *rest != ',')) {
            io->host->fail(err, LAM_IO_OPTION, "startup.mode offsets and startup.specific.offsets '%s'", text);
            io->host->hint(err, "it is partition:offset, with commas between: 0:17,1:4");
            return LAM_IO_OPTION;
        }
        for (int i = 0; i < l->cnt; i++)
            if (l->elems[i].partition == partition) l->elems[i].offset = offset, found = 1;
        if (!found)
            return io->host->fail(err, LAM_IO_OPTION, "startup.specific.offsets: there is no partition %ld", partition);
        p = rest + (*rest == ',');
    }
    return LAM_IO_OK;
}

/* ---- the group's places */

static int no_place(struct lam_io *io, const rd_kafka_topic_partition_t *p, struct lam_error *err)
{
    const char *group = io->host->option_text(io->options, "group.id");
    if (p->offset < 0)
        io->host->fail(err, LAM_IO_OPTION, "the group '%s' has no place in %s/%d", group, p->topic, (int)p->partition);
    else
        io->host->fail(err, LAM_IO_OPTION, "the message at offset %ld of %s/%d, where the group '%s' stands, is not there",
                       (long)p->offset, p->topic, (int)p->partition, group);
    io->host->hint(err, "set auto.offset.reset to earliest or latest, or another startup.mode");
    return LAM_IO_OPTION;
}

/* Where there is no place to go on from, auto.offset.reset decides. */
static int reset_places(struct lam_io *io, rd_kafka_topic_partition_list_t *l, const rd_kafka_topic_partition_list_t *low,
                        const rd_kafka_topic_partition_list_t *high, struct lam_error *err)
{
    enum { EARLIEST, LATEST, NONE } reset = (int)io->host->option_int(io->options, "auto.offset.reset");
    for (int i = 0; i < l->cnt; i++) {
        rd_kafka_topic_partition_t *p = &l->elems[i];
        if (p->offset >= low->elems[i].offset && p->offset <= high->elems[i].offset) continue;
        if (reset == NONE) return no_place(io, p, err);
        p->offset = reset == LATEST ? high->elems[i].offset : RD_KAFKA_OFFSET_BEGINNING;
    }
    return LAM_IO_OK;
}

static int set_committed(struct lam_io *io, rd_kafka_t *rk, rd_kafka_topic_partition_list_t *l, struct lam_error *err)
{
    int64_t until = io->host->now(io) + START_MS * 1000;
    rd_kafka_resp_err_t e;
    do {
        e = rd_kafka_committed(rk, l, START_MS);
        for (int i = 0; !e && i < l->cnt; i++) e = l->elems[i].err;
    } while (passes(io, rk, e, until));
    if (e) return broken(io, rk, e, "the places of its group", err);
    rd_kafka_topic_partition_list_t *low = rd_kafka_topic_partition_list_copy(l), *high = rd_kafka_topic_partition_list_copy(l);
    int result = start_query(io, rk, low, RD_KAFKA_OFFSET_BEGINNING, err);
    if (!result) result = start_query(io, rk, high, RD_KAFKA_OFFSET_END, err);
    if (!result) result = reset_places(io, l, low, high, err);
    rd_kafka_topic_partition_list_destroy(low);
    rd_kafka_topic_partition_list_destroy(high);
    return result;
}

/* ---- the mode */

/* An option that another mode would use has no effect, and who gave it meant that mode. */
static int refuse_mode(struct lam_io *io, const char *option, const char *advice, struct lam_error *err)
{
    io->host->fail(err, LAM_IO_OPTION, "the option %s does not go with this startup.mode", option);
    io->host->hint(err, "%s", advice);
    return LAM_IO_OPTION;
}

static int lacks(struct lam_io *io, const char *mode, const char *option, struct lam_error *err)
{
    io->host->fail(err, LAM_IO_OPTION, "startup.mode %s without %s", mode, option);
    io->host->hint(err, "set %s", option);
    return LAM_IO_OPTION;
}

/* With a group its places are where to begin, unless something else is said. */
static int find_mode(struct lam_io *io, enum start_mode *mode, struct lam_error *err)
{
    const struct lam_host *h = io->host;
    const struct lam_options *o = io->options;
    bool group = h->option_set(o, "group.id");
    *mode = h->option_set(o, "startup.mode") ? (enum start_mode)h->option_int(o, "startup.mode")
            : group                          ? START_GROUP
                                             : START_EARLIEST;
    if (*mode == START_SPECIFIC) *mode = START_OFFSETS;
    if (*mode == START_GROUP && !group) return lacks(io, "group-offsets", "group.id", err);
    if (*mode == START_TIMESTAMP && !h->option_set(o, "startup.timestamp.ms"))
        return lacks(io, "timestamp", "startup.timestamp.ms", err);
    if (*mode == START_OFFSETS && !h->option_set(o, "startup.specific.offsets"))
        return lacks(io, "offsets", "startup.specific.offsets", err);
    if (*mode != START_TIMESTAMP && h->option_set(o, "startup.timestamp.ms"))
        return refuse_mode(io, "startup.timestamp.ms", "set startup.mode to timestamp", err);
    if (*mode != START_OFFSETS && h->option_set(o, "startup.specific.offsets"))
        return refuse_mode(io, "startup.specific.offsets", "set startup.mode to offsets", err);
    if (*mode != START_GROUP && h->option_set(o, "auto.offset.reset"))
        return refuse_mode(io, "auto.offset.reset",
                           "it is for a group without a place: set startup.mode to earliest or latest, or group.id", err);
    return LAM_IO_OK;
}

int start_offsets(struct lam_io *io, rd_kafka_t *rk, rd_kafka_topic_partition_list_t *l, struct lam_error *err)
{
    enum start_mode mode;
    int result = find_mode(io, &mode, err);
    if (result) return result;
    for (int i = 0; i < l->cnt; i++)
        l->elems[i].offset = mode == START_LATEST ? RD_KAFKA_OFFSET_END : RD_KAFKA_OFFSET_BEGINNING;
    switch (mode) {
    case START_GROUP: return set_committed(io, rk, l, err);
    case START_TIMESTAMP: return set_times(io, rk, l, err);
    case START_OFFSETS: return set_numbers(io, l, err);
    default: return set_ends(io, rk, l, err);
    }
}
