/* The gate: no wake-up is lost. A waker makes N facts known, one by one; a waiter sees them all or sleeps for ever, which is
 * an invalid end state.
 *
 * Each side's stores go through a buffer that drains to memory at any time and in order, as on x86; a fence waits until its
 * own buffer is empty. The futex looks at `parked` and falls asleep in one step.
 *
 * Each of these must fail:  -DNO_WAKER_FENCE  -DNO_WAITER_FENCE  -DNO_SECOND_LOOK  -DNO_COMPARE
 * SPDX-License-Identifier: Apache-2.0 */
#define N 3
#define FACT 0
#define PARKED 1

byte memory[2];
chan waker_stores = [3] of { byte, byte };
chan waiter_stores = [3] of { byte, byte };
bool asleep;

inline fence(stores)
{
    empty(stores)
}

active proctype drain_waker()
{
    byte what, value;
end:
    do
    :: d_step { waker_stores?what, value -> memory[what] = value }
    od
}

active proctype drain_waiter()
{
    byte what, value;
end:
    do
    :: d_step { waiter_stores?what, value -> memory[what] = value }
    od
}

/* gate_wake after storing the fact */
active proctype waker()
{
    byte fact, was;
    do
    :: fact < N ->
        fact++;
        waker_stores!FACT, fact;
#ifndef NO_WAKER_FENCE
        fence(waker_stores);
#endif
        was = memory[PARKED];
        if
        :: was == 1 ->
            d_step { /* an exchange drains the buffer, too */
                empty(waker_stores) -> was = memory[PARKED];
                memory[PARKED] = 0
            };
            if
            :: was == 1 -> asleep = false
            :: else
            fi
        :: else
        fi
    :: else -> break
    od
}

/* gate_prepare, a second look, gate_cancel or gate_park */
active proctype waiter()
{
    byte seen;
    do
    :: seen == N -> break
    :: seen < N && memory[FACT] > seen -> seen = memory[FACT]
    :: seen < N && memory[FACT] == seen ->
        waiter_stores!PARKED, 1;
#ifndef NO_WAITER_FENCE
        fence(waiter_stores);
#endif
        if
#ifndef NO_SECOND_LOOK
        :: memory[FACT] > seen -> skip
        :: memory[FACT] == seen ->
#else
        :: true ->
#endif
            d_step {
                empty(waiter_stores) ->
#ifdef NO_COMPARE
                asleep = true
#else
                if
                :: memory[PARKED] == 1 -> asleep = true
                :: else
                fi
#endif
            };
            !asleep
        fi;
        waiter_stores!PARKED, 0
    od
}
