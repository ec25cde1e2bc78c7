// What simdjson's on-demand reader does alone with bids, a line at a time. SPDX-License-Identifier: Apache-2.0
#include "json_bare.h"

#include <cstring>
#include <simdjson.h>

using namespace simdjson;

static bool bid(ondemand::parser &parser, const char *p, size_t n, uint64_t *sum)
{
    ondemand::document doc;
    ondemand::object o;
    int64_t auction, bidder, price;
    std::string_view channel, url, time, extra;
    if (parser.iterate(p, n, n + SIMDJSON_PADDING).get(doc) || doc.get_object().get(o)) return false;
    if (o.find_field("auction").get(auction) || o.find_field("bidder").get(bidder) ||
        o.find_field("price").get(price) || o.find_field("channel").get(channel) || o.find_field("url").get(url) ||
        o.find_field("dateTime").get(time) || o.find_field("extra").get(extra))
        return false;
    *sum += static_cast<uint64_t>(auction + bidder + price) + channel.size() + url.size() + time.size() + extra.size();
    return true;
}

extern "C" int64_t json_bare(const char *p, size_t n, uint64_t *sum)
{
    ondemand::parser parser;
    int64_t rows = 0;
    for (const char *end = p + n, *nl; p < end; p = nl + 1, rows++) {
        nl = static_cast<const char *>(memchr(p, '\n', static_cast<size_t>(end - p)));
        if (!nl || !bid(parser, p, static_cast<size_t>(nl - p), sum)) return -1;
    }
    return rows;
}
