/* Fault points: places where a test makes a call fail. Absent from release builds; compiled in with
 * -DLAM_FAULTS (debug, asan, tsan). A point is armed by name:
 *     fault_arm("file.write", FAULT_ERROR, 3, 1)   the third call, once
 *     fault_arm("file.write", FAULT_ERROR, 3, 0)   from the third call on
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include "base/status.h"

enum fault_action { FAULT_ERROR, FAULT_CRASH };

#ifdef LAM_FAULTS
void fault_arm(const char *point, enum fault_action action, int nth, int times);
void fault_disarm_all(void);
uint64_t fault_hits(const char *point);
bool fault_hit(const char *point);
#define FAULT_POINT(name, err)                                                                     \
    do {                                                                                           \
        if (fault_hit(name)) return err_set(err, E_EXEC, "fault injected at %s", name);            \
    } while (0)
#else
#define FAULT_POINT(name, err) ((void)0)
#endif

#endif
