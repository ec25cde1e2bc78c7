/* Names of secrets, told by their words. SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stddef.h>

enum secret {
    SECRET_NO,
    SECRET_KEY, /* ends in "key": a secret, or the name of a column */
    SECRET_YES, /* has password, secret, token or the like in it, or nearly, or belongs to a request: headers, proxy */
};

/* What a name, with whatever stands between its words, says of its value. Every secret option is called so, ours and those of
 * modules: then the text of a statement that was not understood can be shown without its secrets. */
enum secret secret_name(const char *s, size_t n);

#endif
