/* MD5 (RFC 1321), for the SQL function of that name; no protection against anyone.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef EXPR_MD5_H
#define EXPR_MD5_H

#include <stddef.h>

/* 32 lower-case hexadecimal digits, no NUL. */
void md5_hex(const void *p, size_t n, char *out);

#endif
