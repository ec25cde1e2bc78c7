/* See message.h. SPDX-License-Identifier: Apache-2.0 */
#include "message.h"

#include "json.h"

#include <string.h>
#include <wslay/wslay.h>

#define FIRST_ROOM 512
#define SMALL      4096 /* messages up to this are taken whatever others leave half said */

/* What does not get shorter by compression gets a little longer. */
static uint64_t most_bytes(const struct message *m, uint64_t max)
{
    return m->is_deflated ? max + max / 1024 + 64 : max;
}

bool message_frame(struct message *m, bool continues, uint8_t opcode, bool deflated, uint64_t n, uint64_t max)
{
    if (!continues) {
        m->told = 0;
        m->opcode = opcode;
        m->is_deflated = deflated;
    }
    m->told += n < UINT32_MAX ? n : UINT32_MAX;
    return m->told <= most_bytes(m, max);
}

bool message_add(struct message *m, struct lam_io *io, uint64_t *pool, uint64_t most, const void *p, size_t n)
{
    size_t cap = m->cap ? m->cap : FIRST_ROOM;
    while (cap < m->n + n + 1) cap *= 2;
    if (cap > SMALL && *pool + (cap - m->cap) > most) return false;
    if (cap > m->cap) {
        m->p = io->host->resize(m->p, m->cap, cap);
        io->host->account(io, (int64_t)(cap - m->cap));
        *pool += cap - m->cap;
        m->cap = cap;
    }
    if (n) memcpy(m->p + m->n, p, n);
    m->n += n;
    return true;
}

uint16_t message_inflate(struct message *m, struct lam_io *io, uint64_t *pool, struct deflater *d, uint64_t max)
{
    size_t n, cap;
    char *plain;
    enum inflated r = inflate_message(d, (const uint8_t *)m->p, m->n, max, &plain, &n, &cap);
    if (r != INFLATED) return r == INFLATE_LONG ? WSLAY_CODE_MESSAGE_TOO_BIG : WSLAY_CODE_PROTOCOL_ERROR;
    bool is_text = m->opcode != WSLAY_TEXT_FRAME || utf8_is_valid(plain, n);
    struct message whole = {.p = plain, .n = n, .cap = cap, .opcode = m->opcode};
    message_done(m, io, pool);
    io->host->account(io, (int64_t)cap);
    *pool += cap;
    *m = whole;
    return is_text ? 0 : WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA;
}

void message_done(struct message *m, struct lam_io *io, uint64_t *pool)
{
    io->host->account(io, -(int64_t)m->cap);
    io->host->free(m->p);
    *pool -= m->cap;
    *m = (struct message){0};
}
