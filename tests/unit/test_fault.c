/* Fault points. SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/fault.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef LAM_FAULTS
static enum status step(struct err *err)
{
    FAULT_POINT("test.step", err);
    return ST_OK;
}

static void nth_call_fails(void **state)
{
    (void)state;
    struct err err;
    ok(step(&err));
    fault_arm("test.step", FAULT_ERROR, 3, 2);
    int failed[6];
    for (int i = 0; i < 6; i++) failed[i] = step(&err) != ST_OK;
    static const int want[] = {0, 0, 1, 1, 0, 0};
    assert_memory_equal(failed, want, sizeof want);
    assert_int_equal(fault_hits("test.step"), 6);
    assert_non_null(strstr(err.text, "test.step"));
    fault_arm("test.step", FAULT_ERROR, 2, 0); /* for good */
    ok(step(&err));
    for (int i = 0; i < 5; i++) assert_int_equal(step(&err), E_EXEC);
    fault_disarm_all();
    ok(step(&err));
    assert_int_equal(fault_hits("test.other"), 0);
}

static void a_crash_is_a_kill(void **state)
{
    (void)state;
    pid_t child = fork();
    if (!child) {
        fault_arm("test.step", FAULT_CRASH, 2, 1);
        step(NULL);
        step(NULL);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nth_call_fails), cmocka_unit_test(a_crash_is_a_kill)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void) { return 77; } /* release builds have no fault points */
#endif
