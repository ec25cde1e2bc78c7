/* A simulated machine: a clock that moves only when it is advanced or all wait for it (env_rest), seeded randomness, a disk in memory that loses what was not
 * synced, and no threads. Everything is a function of the seed and the calls made.
 *
 * The disk promises what POSIX does and no more. A write is durable after file_sync, a name (created, renamed, removed) after
 * env_sync_dir of its folder. When power goes, of unsynced writes each is kept, lost or torn, and of a folder's unsynced
 * changes a prefix is kept. After a failed sync what was not durable never becomes so by a later one, though it still
 * reads back.
 *
 * Paths are whole strings; a folder must have been made ("." and "/" are there). One thread.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ENV_SIM_H
#define BASE_ENV_SIM_H

#include "base/env.h"

struct env_sim;
struct env_sim *env_sim_new(uint64_t seed);
void env_sim_free(struct env_sim *s); /* its files have been closed */
AUTO_DEFINE(env_sim_free, struct env_sim *)
struct env *env_sim_env(struct env_sim *s);

/* The clock begins at 1 s; the wall clock at 2024-01-01. */
void env_sim_advance(struct env_sim *s, int64_t us);

enum env_sim_op { SIM_OPEN, SIM_READ, SIM_WRITE, SIM_SYNC, SIM_RENAME, SIM_UNLINK, SIM_SYNC_DIR, SIM_OPS };
/* Lets the nth call from now fail as a broken disk does, `times` times in a row (0: from then on). */
void env_sim_fail(struct env_sim *s, enum env_sim_op op, int nth, int times);
/* The disk holds that many bytes; a write that does not fit is made in part and fails. 0: no bound. */
void env_sim_capacity(struct env_sim *s, int64_t bytes);

/* Reads give less than was asked for, at least a byte, as POSIX allows. */
void env_sim_short_reads(struct env_sim *s, bool on);

/* Calls so far that change the disk (write, sync, create, rename, unlink, mkdir, sync_dir). */
uint64_t env_sim_steps(const struct env_sim *s);
/* Power goes when that many calls have been made: the call of that number may be done in part, and every later one fails.
 * 0: never. */
void env_sim_crash_at(struct env_sim *s, uint64_t step);
bool env_sim_crashed(const struct env_sim *s);
/* Loses power now, unless it is gone, and starts again: the disk shows what survived, old files are dead (closing them is
 * allowed), faults are disarmed. The clock goes on. */
void env_sim_restart(struct env_sim *s);

#endif
