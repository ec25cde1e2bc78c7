/* Where now() and random() come from. SPDX-License-Identifier: Apache-2.0 */
#ifndef EXPR_CLOCK_H
#define EXPR_CLOCK_H

struct env;
/* What expr_env_set gave, or the machine. */
struct env *clock_env(void);

#endif
