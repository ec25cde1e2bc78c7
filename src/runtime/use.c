/* What a change needs of sources and streams, collected before anything is built: the columns of a source that some plan wants, and
 * which streams run already. SPDX-License-Identifier: Apache-2.0 */
#include "runtime/change_int.h"

struct use *use_find(struct change *ch, const struct object *o)
{
    for (struct use *u = ch->uses; u; u = u->next)
        if (u->object == o) return u;
    return NULL;
}

struct use *use_add(struct change *ch, const struct object *o)
{
    struct use *u = arena_alloc(ch->arena, sizeof *u);
    u->object = o;
    u->next = ch->uses;
    ch->uses = u;
    if (o) u->wanted = arena_alloc(ch->arena, sizeof *u->wanted * (size_t)(o->schema->n + 1));
    return u;
}

void use_collect_stream(struct change *ch, const struct object *o)
{
    if (use_find(ch, o)) return;
    struct use *u = use_add(ch, o);
    u->node = node_of_stream(ch->rt, o->id);
    if (!u->node) use_collect(ch, o->plan);
}

/* Notes the sources (with the columns wanted) and streams that a plan needs and that do not run. */
void use_collect(struct change *ch, const struct plan *p)
{
    if (p->kind == PLAN_SOURCE) {
        struct use *u = use_find(ch, p->object);
        if (!u) u = use_add(ch, p->object);
        for (int i = 0; i < p->schema->n; i++) u->wanted[schema_find(p->object->schema, p->schema->fields[i].name)] = true;
    } else if (p->kind == PLAN_STREAM) {
        use_collect_stream(ch, p->object);
    }
    for (int i = 0; i < p->nin; i++) use_collect(ch, p->in[i].node);
}
