/* The mock source and sink, as tests see them: what a sink named NAME took is kept in the process until mock_reset, so a
 * sink opened again under that name finds its own past, as an outside system would have it.
 *
 * A script is a list of steps, each for one call or a range of calls counted from 1:
 *     wait 50 ms               every write or poll is delayed
 *     slow flush 2- 50 ms      so are these calls
 *     fail write 3             the third write fails for good;  fail open 1, fail flush 2-4, fail commit 1-, fail close 1
 *     fail write 3 retry       ... may be offered again (ST_RETRY)
 *     fail open 1-2 connect    ... the system is away (E_CONNECT)
 *     fail write 5 poison 3    ... takes two rows, the third cannot be taken (ST_POISON); without a number the second. When
 *                              fewer are offered, the last
 *     fail flush 2 poison 3    ... of the rows that wait for the flush, the third cannot be taken, and is gone; fail commit likewise.
 *                              When there are fewer, nothing happens. For sinks that are buffered or transactional
 *     fail write 5 closed      ... the target wants no more (ST_CLOSED)
 *     short write 2 [10]       the second write takes one row only, or ten
 *     hang write 7             does not return (mock.blocking), or waits without end (mock), until it is canceled; a close
 *                              cannot wait, and fails instead (mock)
 * The classes `mock` never block; `mock.blocking` blocks for its delays and hangs. SPDX-License-Identifier: Apache-2.0 */
#ifndef CONNECTOR_MOCK_H
#define CONNECTOR_MOCK_H

#include "base/status.h"

/* The rows delivered, a line each, values parted by '|', NULL as \N, "-" before rows of weight -1; new memory. */
char *mock_rows(const char *name);
uint64_t mock_count(const char *name);                     /* rows delivered */
uint64_t mock_calls(const char *name, const char *call);   /* "open", "write", "flush", "commit", "abort", "close", "poll" */
uint64_t mock_marker(const char *name);                    /* the last epoch committed */
void mock_reset(void);                                     /* forgets all names; nothing is open */

#endif
