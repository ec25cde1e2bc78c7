/* The feed: no item is lost, delivered twice or out of order; the oldest are dropped; what is said is never ahead of a row.
 *
 * The producer's stores to slots, to the tail and of what it says go through buffers that drain on their own, weaker than x86,
 * so that a release store is what the model needs it to be: it waits for those before it. An acquire is the order in
 * which the consumer looks.
 *
 * Each of these must fail:
 *   -DNO_EXCHANGE  the consumer reads a slot, then clears it      -DNO_POCKET  it delivers what it finds in a slot at once
 *   -DNO_RELEASE   the tail may be seen before the slot           -DLOOK_LATE  what was said is read after the tail
 * SPDX-License-Identifier: Apache-2.0 */
#define SLOTS 2
#define ITEMS 6

byte slot[SLOTS]; /* the item's position + 1; 0: NULL */
byte tail, said;  /* said: how many items there were when it was */
chan slot_stores = [SLOTS] of { byte, byte };
chan tail_stores = [SLOTS] of { byte };
chan said_stores = [SLOTS] of { byte };

byte owner[ITEMS]; /* how often an item was got out */
byte expected;     /* the lowest position that may still be delivered */

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

active proctype drain_said()
{
    byte value;
end:
    do
    :: d_step { said_stores?value -> said = value }
    od
}

/* Drops until the slot at t is free, now and then one more (bytes), then puts. */
active proctype producer()
{
    byte t, low, got;
    do
    :: t == ITEMS -> break
    :: t < ITEMS ->
        do
        :: empty(slot_stores) && slot[t % SLOTS] == 0 -> break
        :: empty(slot_stores) && low < t -> /* an exchange drains the buffer, too */
            atomic {
                if
                :: t - low > SLOTS -> low = t - SLOTS
                :: else
                fi;
                got = slot[low % SLOTS];
                slot[low % SLOTS] = 0;
                if
                :: got -> assert(got == low + 1); owner[low]++; assert(owner[low] == 1)
                :: else
                fi;
                got = 0;
                low++
            }
        od;
        slot_stores!(t % SLOTS), t + 1;
#ifndef NO_RELEASE
        empty(slot_stores);
#endif
        t++;
        tail_stores!t;
        if
        :: empty(tail_stores) && empty(slot_stores) -> said_stores!t
        :: true
        fi
    od
}

inline deliver(at)
{
    owner[at]++;
    assert(owner[at] == 1);
    assert(at >= expected);
    expected = at + 1
}

active proctype consumer()
{
    byte head, seen, got, heard, at;
    byte pocket[SLOTS];
    byte aside, aside_end;
    do
    :: expected == ITEMS -> break /* the last item is never dropped */
    :: else ->
        got = 0;
        if
        :: aside < aside_end && pocket[aside % SLOTS] <= head + 1 ->
            atomic {
                at = pocket[aside % SLOTS] - 1;
                aside++;
                if
                :: at == head -> head++
                :: else
                fi;
                deliver(at);
                at = 0
            }
        :: else ->
            if
            :: aside < aside_end -> seen = head + 1 /* what is older than an item put aside is there, or was dropped */
            :: else ->
#ifndef LOOK_LATE
                heard = said;
#endif
                seen = tail;
#ifdef LOOK_LATE
                heard = said
#endif
            fi;
            if
            :: seen <= head ->
                assert(heard <= head);
                heard = 0;
                tail > head /* parked until there is more */
            :: seen > head + SLOTS -> head = seen - SLOTS
            :: else ->
#ifdef NO_EXCHANGE
                got = slot[head % SLOTS];
                slot[head % SLOTS] = 0;
#else
                d_step { got = slot[head % SLOTS]; slot[head % SLOTS] = 0 };
#endif
                if
                :: got == 0 -> head++
                :: got == head + 1 -> atomic { at = head; deliver(at); at = 0; head++ }
                :: else ->
                    assert(got > head + 1);
#ifdef NO_POCKET
                    atomic { at = got - 1; deliver(at); at = 0 };
                    head = got - SLOTS
#else
                    d_step {
                        assert(aside_end - aside < SLOTS);
                        pocket[aside_end % SLOTS] = got;
                        aside_end++;
                        head = got - SLOTS
                    }
#endif
                fi
            fi;
            seen = 0
        fi
    od;
    /* each item was delivered or dropped, once */
    at = 0;
    do
    :: at < ITEMS -> assert(owner[at] == 1); at++
    :: else -> break
    od
}
