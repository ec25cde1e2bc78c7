/* The end of a channel: a consumer that wants no more closes it and drains what still comes until END; the producer, which may
 * be waiting for room, learns of it, lets go of what it has and says END. Neither sleeps for ever, every message is let go by
 * somebody, and END is the last.
 *
 * The producer asks for room by setting `wanted` and looking again; the consumer looks at `wanted` after each pop and after it
 * has closed. Their fences are those of gate.pml, so here each line is one step.
 *
 * Each of these must fail:
 *   -DNO_WAKE     closing does not wake the producer    -DNO_SECOND_LOOK  the producer does not look again for room
 *   -DNO_DRAIN    what is in the ring at the close is not drained
 * SPDX-License-Identifier: Apache-2.0 */
#define ROOM 2
#define DATA 5

chan ring = [ROOM + 1] of { byte };  /* one slot is kept for END */
bool closed, wanted, asleep, ended;
byte sent, gone;                     /* gone: consumed or drained */
#define END 255

inline wake_producer()
{
    d_step {
        if
        :: wanted -> wanted = false; asleep = false
        :: else
        fi
    }
}

active proctype producer()
{
    bool idled;
    do
    :: closed || sent == DATA -> break
    :: !closed && sent < DATA && len(ring) < ROOM ->
        ring!sent;
        sent++
    :: !closed && sent < DATA && len(ring) >= ROOM ->
        d_step { wanted = true; asleep = true };
#ifndef NO_SECOND_LOOK
        d_step {
            if
            :: len(ring) < ROOM || closed -> wanted = false; asleep = false
            :: else
            fi
        };
#endif
        !asleep
    :: !closed && sent < DATA && !idled -> /* it has nothing to send, and waits for what never comes */
        idled = true;
        d_step {
            if
            :: closed
            :: else -> asleep = true
            fi
        };
        !asleep
    od;
    ring!END
}

active proctype consumer()
{
    byte m;
    bool want = true;
    do
    :: want -> want = false; closed = true;
#ifndef NO_WAKE
        asleep = false
#endif
    :: len(ring) > 0 ->
        ring?m;
        if
        :: m == END -> ended = true; break
        :: else -> gone++
        fi;
#ifdef NO_DRAIN
        if
        :: closed -> break
        :: else
        fi;
#endif
        wake_producer()
    od;
    assert(ended);
    assert(len(ring) == 0);
    assert(gone == sent)
}
