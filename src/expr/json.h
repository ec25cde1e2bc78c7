/* Whether a text is JSON. SPDX-License-Identifier: Apache-2.0 */
#ifndef EXPR_JSON_H
#define EXPR_JSON_H

#include <stdbool.h>
#include <stddef.h>

bool json_valid(const char *p, size_t n);

#endif
