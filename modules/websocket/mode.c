/* See mode.h. SPDX-License-Identifier: Apache-2.0 */
#include "mode.h"

enum mode mode_of(const struct lam_host *h, const struct lam_options *o, enum mode usual)
{
    bool url = h->option_given(o, "url"), address = h->option_given(o, "bind.address");
    if (h->option_given(o, "mode")) return (enum mode)h->option_int(o, "mode");
    return url == address ? usual : url ? MODE_CLIENT : MODE_SERVER;
}

int mode_check(struct lam_io *io, enum mode m, const struct mode_options *all, struct lam_error *err)
{
    const struct lam_host *h = io->host;
    for (const struct refused_option *r = all->refused; r->name; r++) {
        if (!h->option_given(io->options, r->name)) continue;
        h->fail(err, LAM_IO_OPTION, "%s has no use for %s", io->name, r->name);
        h->hint(err, "%s", r->instead);
        return LAM_IO_OPTION;
    }
    for (const char *const *name = m == MODE_CLIENT ? all->server : all->client; *name; name++) {
        if (!h->option_given(io->options, *name)) continue;
        h->fail(err, LAM_IO_OPTION, "%s of %s is an option of mode = '%s', and this is a %s", *name, io->name,
                m == MODE_CLIENT ? "server" : "client", m == MODE_CLIENT ? "client" : "server");
        h->hint(err, "leave it out, or say mode = '%s'", m == MODE_CLIENT ? "server" : "client");
        return LAM_IO_OPTION;
    }
    return LAM_IO_OK;
}
