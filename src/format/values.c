/* SPDX-License-Identifier: Apache-2.0 */
#include "format/format.h"

void values_clear(struct values *v, uint32_t first, uint32_t room)
{
    if (!v->offsets || room > v->cap) {
        values_done(v);
        v->offsets = mem_alloc(sizeof *v->offsets * ((size_t)room + 1));
        v->none = mem_zalloc((size_t)room + 1);
        v->cap = room;
    }
    text_clear(&v->text);
    v->offsets[0] = 0;
    v->has_none = v->whole = false;
    v->first = first;
    v->n = 0;
}

void values_done(struct values *v)
{
    text_done(&v->text);
    mem_free(v->offsets);
    mem_free(v->none);
    *v = (struct values){0};
}
