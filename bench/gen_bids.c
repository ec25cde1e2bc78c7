/* Writes bids in the manner of Nexmark as JSON lines of 200 bytes to stdout: half of them for the hot auction, three in
 * four by the hot bidder, prices over six decades, half on four channels and half on ten thousand. gen_bids [ROWS
 * [SEED]] SPDX-License-Identifier: Apache-2.0 */
#include "random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define LINE     200 /* with its end */
#define FIRST_ID 1000

static const char *const hot_channels[] = {"Google", "Facebook", "Baidu", "Apple"};

static void put_bid(long long i, uint64_t *seed)
{
    char line[LINE + 64], channel[24];
    long long auctions = i / 46 * 3, people = i / 46; /* 1 person : 3 auctions : 46 bids */
    long long auction = random_below(seed, 2) ? auctions / 100 * 100 : auctions - random_below(seed, 100);
    long long bidder = random_below(seed, 4) ? people / 100 * 100 + 1 : people - random_below(seed, 1000);
    unsigned number = random_below(seed, 10000);
    if (random_below(seed, 2))
        snprintf(channel, sizeof channel, "%s", hot_channels[number % 4]);
    else
        snprintf(channel, sizeof channel, "channel-%u", number);
    int n = snprintf(
        line, sizeof line,
        "{\"auction\":%lld,\"bidder\":%lld,\"price\":%.0f,\"channel\":\"%s\",\"url\":\"https://www.nexmark.com/%c%c%c/"
        "item.htm?query=1&channel_id=%u\",\"dateTime\":\"2023-11-14 %02lld:%02lld:%02lld.%03lld\",\"extra\":\"",
        FIRST_ID + llabs(auction), FIRST_ID + llabs(bidder), 100 * pow(10, 6 * random_unit(seed)), channel,
        (char)('a' + number % 26), (char)('a' + number / 26 % 26), (char)('a' + number / 676 % 26), number,
        i / 360000000 % 24, i / 6000000 % 60, i / 100000 % 60, i / 100 % 1000);
    while (n < LINE - 3) line[n++] = (char)('a' + random_below(seed, 26));
    n += snprintf(line + n, sizeof line - (size_t)n, "\"}\n");
    fwrite(line, 1, (size_t)n, stdout);
}

int main(int argc, char **argv)
{
    long long rows = argc > 1 ? atoll(argv[1]) : 2000000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 14;
    static char buffer[1 << 20];
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    for (long long i = 0; i < rows; i++) put_bid(i, &seed);
    return fflush(stdout) || ferror(stdout);
}
