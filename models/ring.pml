/* The ring: messages arrive in order and whole, BARRIER and END always fit.
 *
 * Stores to slots and to an index go through separate buffers that drain in any order relative to each other, weaker than
 * x86, so that a release store is what the model needs it to be: it waits for the slots. An acquire is that the slot is
 * read after the index.
 *
 * Each of these must fail:
 *   -DNO_RELEASE  the tail may be seen before the slot        -DNO_ACQUIRE  the slot is read before the tail
 *   -DEARLY_HEAD  the slot is given back before it is read    -DNO_RESERVE  data takes every slot
 * SPDX-License-Identifier: Apache-2.0 */
#define SLOTS 4
#ifdef NO_RESERVE
#define ROOM SLOTS
#else
#define ROOM (SLOTS - 2)
#endif
#define DATA 4               /* messages of data, then END; a BARRIER somewhere between */
#define LAST (DATA + 2)

byte slot[SLOTS];
byte head, tail;
chan slot_stores = [SLOTS] of { byte, byte };
chan tail_stores = [SLOTS] of { byte };
chan head_stores = [SLOTS] of { byte };

active proctype drain_slots()
{
    byte at, value;
end:
    do
    :: d_step { slot_stores?at, value -> slot[at] = value }
    od
}

active proctype drain_tail()
{
    byte value;
end:
    do
    :: d_step { tail_stores?value -> tail = value }
    od
}

active proctype drain_head()
{
    byte value;
end:
    do
    :: d_step { head_stores?value -> head = value }
    od
}

/* Each message holds its number, 1 and on. */
inline put()
{
    slot_stores!(t % SLOTS), t + 1;
#ifndef NO_RELEASE
    empty(slot_stores);
#endif
    t++;
    tail_stores!t
}

inline put_reserved()
{
    if
    :: t - head_seen >= SLOTS -> head_seen = head
    :: else
    fi;
    assert(t - head_seen < SLOTS);
    put()
}

active proctype producer()
{
    byte t, head_seen, data;
    bool barrier;
    do
    :: data < DATA ->
        if
        :: t - head_seen >= ROOM -> head_seen = head
        :: else
        fi;
        if
        :: t - head_seen < ROOM -> put(); data++
        :: t - head_seen >= ROOM -> head != head_seen /* parked until there is room */
        fi
    :: !barrier -> barrier = true; put_reserved()
    :: data == DATA && barrier -> break
    od;
    put_reserved() /* END */
}

active proctype consumer()
{
    byte h, tail_seen, m;
    do
    :: h < LAST ->
#ifdef NO_ACQUIRE
        m = slot[h % SLOTS];
#endif
        if
        :: h == tail_seen -> tail_seen = tail
        :: else
        fi;
        if
        :: h == tail_seen -> tail != h
        :: else ->
#ifdef EARLY_HEAD
            head_stores!h + 1;
#endif
#ifndef NO_ACQUIRE
            m = slot[h % SLOTS];
#endif
            assert(m == h + 1);
            h++;
#ifndef EARLY_HEAD
            head_stores!h
#endif
        fi
    :: else -> break
    od
}
