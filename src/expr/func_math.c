/* Placeholder. SPDX-License-Identifier: Apache-2.0 */
#include "expr/expr_int.h"

const struct function func_math[] = {{0}};
