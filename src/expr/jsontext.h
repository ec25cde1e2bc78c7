/* Whether a text is JSON. SPDX-License-Identifier: Apache-2.0 */
#ifndef EXPR_JSONTEXT_H
#define EXPR_JSONTEXT_H

#include <stdbool.h>
#include <stddef.h>

bool jsontext_valid(const char *p, size_t n);

#endif
