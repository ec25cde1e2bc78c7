/* Records that outside classes give, copied together as they come. SPDX-License-Identifier: Apache-2.0 */
#include "connector/outside.h"

#include "format/format.h"

#define ENOUGH   (1 << 20)
#define TOO_MUCH (1 << 30) /* places within it fit 32 bits */

void outside_place_put(const struct lam_position *from, uint32_t skip, struct position *out)
{
    struct outside_place place = {.skip = skip, .n = (uint8_t)from->n};
    memcpy(place.extra, from->extra, sizeof place.extra);
    *out = (struct position){.offset = from->offset, .n = sizeof place};
    memcpy(out->extra, &place, sizeof place);
}

void outside_records_begin(struct outside_records *r, uint32_t max)
{
    if (max > r->cap) {
        mem_free(r->records);
        mem_free(r->places);
        r->records = mem_alloc(sizeof *r->records * max);
        r->places = mem_alloc(sizeof *r->places * max);
        r->cap = max;
    }
    r->given = (struct lam_records){.size = sizeof r->given, .max = max};
    r->values.bytes = (struct lam_bytes){.size = sizeof r->values.bytes};
    r->asked = 0;
    r->wrong = NULL;
}

void outside_records_done(struct outside_records *r)
{
    outside_room_done(&r->values);
    mem_free(r->records);
    mem_free(r->places);
    *r = (struct outside_records){0};
}

static struct outside_records *records_of(struct lam_records *out)
{
    return container_of(out, struct outside_records, given);
}

char *outside_record_room(struct lam_records *out, size_t n)
{
    struct outside_records *r = records_of(out);
    struct lam_bytes *bytes = &r->values.bytes;
    size_t before = bytes->n;
    bytes->n += r->asked; /* what was written moves along */
    outside_room(bytes, n > r->asked ? n - r->asked + 1 : 1);
    bytes->n = before;
    if (n > r->asked) r->asked = n;
    return r->values.p + PAYLOAD_HEADROOM + before;
}

bool outside_record(struct lam_records *out, const void *p, size_t n, const struct lam_position *after)
{
    struct outside_records *r = records_of(out);
    struct lam_bytes *bytes = &r->values.bytes;
    if (out->n >= r->cap) r->wrong = "more records than were asked for";
    if (after->n > sizeof after->extra) r->wrong = "a position that is too long";
    if (n >= TOO_MUCH || bytes->n + n >= TOO_MUCH + (size_t)ENOUGH) r->wrong = "a record of 1 GiB";
    if (r->wrong) return false;
    struct record *record = &r->records[out->n];
    *record = (struct record){(uint32_t)bytes->n, p ? (uint32_t)n : RECORD_NONE, after->offset};
    outside_place_put(after, 0, &r->places[out->n++]);
    if (p) {
        char *to = outside_room(bytes, n + 1);
        if (p != to && n) memcpy(to, p, n);
        to[n] = '\n';
        bytes->n += n + 1;
    }
    r->asked = 0;
    return out->n < out->max && bytes->n < ENOUGH;
}
