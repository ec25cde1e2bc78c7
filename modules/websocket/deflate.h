/* permessage-deflate (RFC 7692) without context takeover either way: each message stands alone, so what is sent is
 * compressed once for all, and one memory serves all clients. SPDX-License-Identifier: Apache-2.0 */
#ifndef WEBSOCKET_DEFLATE_H
#define WEBSOCKET_DEFLATE_H

#include <laminar_connector.h>

enum { FRAME_DEFLATED = 0x40 }; /* the first reserved bit of a frame's head */

struct deflater;
/* Counted in the instance's memory. */
struct deflater *deflater_new(struct lam_io *io);
void deflater_free(struct deflater *d); /* NULL is allowed */

/* The compressed message in `to`; 0: it is not shorter than `room`. */
size_t deflate_message(struct deflater *d, const uint8_t *p, size_t n, uint8_t *to, size_t room);

enum inflated { INFLATED, INFLATE_BAD, INFLATE_LONG /* than max */ };
/* The plain message in *to, which the host frees; *cap bytes were allocated. NULL and 0 unless INFLATED. */
enum inflated inflate_message(struct deflater *d, const uint8_t *p, size_t n, size_t max, char **to, size_t *to_n,
                              size_t *cap);

#endif
