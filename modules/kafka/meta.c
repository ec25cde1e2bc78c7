/* SPDX-License-Identifier: Apache-2.0 */
#include "meta.h"

#include "headers.h"

#include <string.h>

const struct lam_metadata meta_columns[META_COLUMNS] = {
    [META_KEY] = {.name = "_key", .type = "BLOB", .sentence = "Key of the message."},
    [META_PARTITION] = {.name = "_partition", .type = "INTEGER", .sentence = "Partition it lies in."},
    [META_OFFSET] = {.name = "_offset", .type = "BIGINT", .sentence = "Its number in that partition."},
    [META_TIMESTAMP] = {.name = "_timestamp",
                        .type = "TIMESTAMPTZ",
                        .sentence = "When it was made, or appended, as the topic is set."},
    [META_HEADERS] = {.name = "_headers",
                      .type = "JSON",
                      .sentence = "Its headers, an object of texts; NULL: it has none."},
    [META_TOPIC] = {.name = "_topic", .type = "VARCHAR", .sentence = "Topic it comes from."},
};

static bool is_text(int what)
{
    return what == META_KEY || what == META_HEADERS || what == META_TOPIC;
}

void meta_open(struct meta *m, struct lam_io *io)
{
    m->io = io;
    m->n = (int)io->metadata->n_children;
    if (!m->n) return;
    size_t n = (size_t)m->n;
    m->columns = io->host->alloc(n * sizeof *m->columns);
    m->buffers = io->host->alloc(n * sizeof *m->buffers);
    m->children = io->host->alloc(n * sizeof *m->children);
    m->list = io->host->alloc(n * sizeof *m->list);
    for (size_t i = 0; i < n; i++)
        while (strcmp(meta_columns[m->columns[i].what].name, io->metadata->children[i]->name)) m->columns[i].what++;
}

static int64_t width(const struct meta *m, int64_t rows)
{
    return m->n * (rows / 8 + 1 + rows * 8);
}

static void make_room(struct meta *m, int64_t max)
{
    const struct lam_host *h = m->io->host;
    size_t was = (size_t)m->max, now = (size_t)max;
    h->account(m->io, width(m, max) - width(m, m->max));
    for (struct meta_column *c = m->columns; c < m->columns + m->n; c++) {
        c->valid = h->resize(c->valid, was / 8 + 1, now / 8 + 1);
        if (is_text(c->what) || c->what == META_PARTITION)
            c->narrow = h->resize(c->narrow, (was + 1) * sizeof *c->narrow, (now + 1) * sizeof *c->narrow);
        else
            c->wide = h->resize(c->wide, was * sizeof *c->wide, now * sizeof *c->wide);
    }
    m->max = max;
}

static char *text_room(struct meta *m, struct meta_column *c, size_t at, size_t n)
{
    if (at + n > c->text_cap) {
        size_t cap = 2 * (at + n);
        c->text = m->io->host->resize(c->text, c->text_cap, cap);
        m->io->host->account(m->io, (int64_t)(cap - c->text_cap));
        c->text_cap = cap;
    }
    return c->text + at;
}

static bool add_headers(struct meta *m, struct meta_column *c, size_t at, const rd_kafka_message_t *from, size_t *n)
{
    rd_kafka_headers_t *headers = NULL;
    if (rd_kafka_message_headers(from, &headers)) return false;
    *n = headers_write(headers, c->text ? c->text + at : NULL, c->text ? c->text_cap - at : 0);
    if (*n > c->text_cap - at) headers_write(headers, text_room(m, c, at, *n), *n);
    return true;
}

static bool add_text(struct meta *m, struct meta_column *c, int64_t i, const rd_kafka_message_t *from)
{
    if (!i) c->narrow[0] = 0;
    size_t at = (size_t)c->narrow[i], n = 0;
    bool there = true;
    if (c->what == META_HEADERS) {
        there = add_headers(m, c, at, from, &n);
    } else {
        const char *p = c->what == META_KEY ? from->key : rd_kafka_topic_name(from->rkt);
        there = p;
        n = c->what == META_KEY ? from->key_len : strlen(p);
        if (n) memcpy(text_room(m, c, at, n), p, n);
    }
    c->narrow[i + 1] = (int32_t)(at + n);
    return there;
}

static bool add_number(struct meta_column *c, int64_t i, const rd_kafka_message_t *from)
{
    rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_CREATE_TIME;
    if (c->what == META_PARTITION)
        c->narrow[i] = from->partition;
    else
        c->wide[i] = c->what == META_OFFSET ? from->offset : rd_kafka_message_timestamp(from, &type) * 1000;
    return type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
}

void meta_add(struct meta *m, int64_t i, int64_t max, const rd_kafka_message_t *from)
{
    if (max > m->max && m->n) make_room(m, max);
    for (struct meta_column *c = m->columns; c < m->columns + m->n; c++) {
        bool there = is_text(c->what) ? add_text(m, c, i, from) : add_number(c, i, from);
        uint8_t bit = (uint8_t)(1 << i % 8);
        c->valid[i / 8] = (uint8_t)((c->valid[i / 8] & ~bit) | (there ? bit : 0));
    }
}

static void stays(struct ArrowArray *a)
{
    a->release = NULL;
}

void meta_give(struct meta *m, struct lam_records *out)
{
    static const char nothing[1];
    if (!m->n || !out->n) return;
    for (int i = 0; i < m->n; i++) {
        const struct meta_column *c = &m->columns[i];
        m->buffers[i][0] = c->valid;
        m->buffers[i][1] = c->wide ? (const void *)c->wide : c->narrow;
        m->buffers[i][2] = c->text ? c->text : nothing;
        m->children[i] = (struct ArrowArray){.length = out->n,
                                             .null_count = -1,
                                             .n_buffers = is_text(c->what) ? 3 : 2,
                                             .buffers = m->buffers[i],
                                             .release = stays};
        m->list[i] = &m->children[i];
    }
    out->metadata = (struct ArrowArray){.length = out->n,
                                        .n_buffers = 1,
                                        .buffers = m->none,
                                        .n_children = m->n,
                                        .children = m->list,
                                        .release = stays};
}

void meta_close(struct meta *m)
{
    if (!m->io) return;
    const struct lam_host *h = m->io->host;
    int64_t bytes = width(m, m->max);
    for (struct meta_column *c = m->columns; c < m->columns + m->n; c++) {
        bytes += (int64_t)c->text_cap;
        h->free(c->valid), h->free(c->wide), h->free(c->narrow), h->free(c->text);
    }
    if (m->max) h->account(m->io, -bytes);
    h->free(m->columns), h->free(m->buffers), h->free(m->children), h->free(m->list);
}
