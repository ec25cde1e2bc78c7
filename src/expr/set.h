/* x IN (many constants). SPDX-License-Identifier: Apache-2.0 */
#ifndef EXPR_SET_H
#define EXPR_SET_H

#include "expr/expr_int.h"

extern const struct function set_in; /* (x, constants of its type ...) */

#endif
