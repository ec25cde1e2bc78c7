/* The ready bitmap: no message of a channel is forgotten. Producers push into their channel, set its bit, wake the worker's task;
 * the worker takes all bits of the word at once, gives each ready channel one message, sets the bit again when there may be
 * more, and parks only when its task was not woken since it began its step.
 *
 * `woken` is sticky: the host clears it before a step and looks at it after it has said that it will park. Stores are seen in
 * their order (release, or a locked operation) and the gate's own fences are checked in gate.pml, so here they are atomic.
 *
 * Each of these must fail:
 *   -DBIT_FIRST    the bit is set before the push      -DCLEAR_AFTER  the task's flag is cleared after the step
 *   -DNO_AGAIN     a channel with more to read is not marked again
 *   -DPLAIN_CLEAR  bits are read, then cleared, in two steps
 * SPDX-License-Identifier: Apache-2.0 */
#define CHANNELS 2
#define MESSAGES 3

byte pushed[CHANNELS], taken[CHANNELS];
bool ready[CHANNELS], mine[CHANNELS];
bool woken, parked, asleep;

inline wake()
{
    woken = true;
    d_step {
        if
        :: parked -> parked = false; asleep = false
        :: else
        fi
    }
}

proctype producer(byte c)
{
    do
    :: pushed[c] < MESSAGES ->
#ifdef BIT_FIRST
        ready[c] = true;
        wake();
        pushed[c]++
#else
        pushed[c]++;
        ready[c] = true;
        wake()
#endif
    :: else -> break
    od
}

inline take_bits()
{
#ifdef PLAIN_CLEAR
    c = 0;
    do
    :: c < CHANNELS -> mine[c] = mine[c] || ready[c]; c++
    :: else -> break
    od;
    c = 0;
    do
    :: c < CHANNELS -> ready[c] = false; c++
    :: else -> break
    od
#else
    d_step {
        c = 0;
        do
        :: c < CHANNELS -> mine[c] = mine[c] || ready[c]; ready[c] = false; c++
        :: else -> break
        od
    }
#endif
}

proctype worker()
{
    byte c, served;
    bool again;
    do
    :: taken[0] + taken[1] == CHANNELS * MESSAGES -> break
    :: else ->
#ifndef CLEAR_AFTER
        woken = false;
#endif
        take_bits();
        served = 0;
        do
        :: served < CHANNELS && mine[served] ->
            mine[served] = false;
            if
            :: taken[served] < pushed[served] ->
                taken[served]++;
#ifndef NO_AGAIN
                ready[served] = true /* there may be more: the task is stepped again */
#endif
            :: else
            fi
        :: served < CHANNELS -> if :: mine[served] :: else -> served++ fi
        :: else -> break
        od;
        again = ready[0] || ready[1];
#ifdef CLEAR_AFTER
        woken = false;
#endif
        if
        :: again -> skip
        :: else ->
            parked = true;
            if
            :: woken -> parked = false
            :: else ->
                d_step { /* the futex compares and sleeps in one step */
                    if
                    :: parked -> asleep = true
                    :: else
                    fi
                };
                !asleep;
                parked = false
            fi
        fi
    od
}

init
{
    atomic {
        run producer(0);
        run producer(1);
        run worker()
    }
}
