/* Writes made-up flights as CSV to stdout: half a year of departures in order of time, many in the same minute, few at
 * night; delays with a long tail; 229 airports, the busiest with one row in eighteen, the smallest with one in twenty
 * thousand. The tables were read off real flights of 2001. gen_flights [ROWS [SEED]] SPDX-License-Identifier:
 * Apache-2.0 */
#include "random.h"

#include <stdio.h>
#include <stdlib.h>

#define AIRPORTS   229
#define DAYS       181
#define ROUTES     15 /* from each airport */
#define countof(a) (sizeof(a) / sizeof *(a))

/* Rows in each hour of the day, in thousands. */
static const double hours[24] = {10,  6,   1,   0.3, 0.3, 38,  201, 197, 196, 187, 168, 189,
                                 180, 189, 174, 180, 173, 201, 176, 172, 152, 108, 74,  26};
/* Rows of every tenth airport, the busiest first, in thousands. */
static const double traffic[] = {166, 65,  50,  31,  24,   17.6, 10.9, 8.7,  5.7,  4.1,  3.1,  2.6,
                                 1.9, 1.5, 1.2, 1.0, 0.96, 0.83, 0.70, 0.59, 0.44, 0.34, 0.17, 0.1};

/* Quantiles: at most `value` in the share `below` of the rows. */
struct quantile {
    double below;
    int value;
};
static const struct quantile delays[] = {{0, -60}, {.001, -44}, {.01, -30}, {.05, -20},  {.1, -16}, {.2, -11},
                                         {.3, -7}, {.4, -4},    {.5, -1},   {.6, 3},     {.7, 7},   {.8, 15},
                                         {.9, 35}, {.95, 61},   {.99, 139}, {.999, 277}, {1, 1000}};
static const struct quantile distances[] = {{0, 21},    {.01, 89},  {.05, 143},  {.1, 196},   {.2, 267},
                                            {.3, 337},  {.4, 430},  {.5, 569},   {.6, 696},   {.7, 888},
                                            {.8, 1080}, {.9, 1569}, {.95, 1968}, {.99, 2556}, {1, 4962}};

static int pick(const struct quantile *q, double u)
{
    while (u >= q[1].below) q++;
    return q->value + (int)((u - q->below) / (q[1].below - q->below) * (q[1].value - q->value));
}

struct airport {
    char name[4];
    double up_to; /* share of the rows of this and busier ones */
    int to[ROUTES], distance[ROUTES];
};
static struct airport airports[AIRPORTS];
static int minute_of[24 * 60 *
                     8]; /* the minute of the day of the first, second, ... of so many equal shares of a day's rows */

static int find_airport(double u)
{
    int low = 0, high = AIRPORTS - 1;
    while (low < high) {
        int mid = (low + high) / 2;
        if (u < airports[mid].up_to)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

static void make_airports(uint64_t *seed)
{
    double sum = 0;
    for (int i = 0; i < AIRPORTS; i++) {
        double part = i % 10 / 10.0;
        sum += traffic[i / 10] * (1 - part) + traffic[i / 10 + 1] * part;
        airports[i].up_to = sum;
        unsigned code = (unsigned)i * 7919 % 17576; /* distinct: 7919 and 26^3 have no common factor */
        snprintf(airports[i].name, 4, "%c%c%c", 'A' + code / 676, 'A' + code / 26 % 26, 'A' + code % 26);
    }
    for (int i = 0; i < AIRPORTS; i++) airports[i].up_to /= sum;
    for (int i = 0; i < AIRPORTS; i++)
        for (int k = 0; k < ROUTES; k++) {
            do airports[i].to[k] = find_airport(random_unit(seed));
            while (airports[i].to[k] == i);
            airports[i].distance[k] = pick(distances, random_unit(seed));
        }
}

static void make_minutes(void)
{
    double sum = 0, seen = 0;
    int n = (int)countof(minute_of), at = 0;
    for (int h = 0; h < 24; h++) sum += hours[h] * 60;
    for (int m = 0; m < 24 * 60; m++) {
        seen += hours[m / 60];
        while (at < n && at < (int)(seen / sum * n + 0.5)) minute_of[at++] = m;
    }
    while (at < n) minute_of[at++] = 24 * 60 - 1;
}

static void date_of(int day, int *month, int *of_month)
{
    static const int length[] = {31, 28, 31, 30, 31, 30, 31};
    for (*month = 1; day >= length[*month - 1]; (*month)++) day -= length[*month - 1];
    *of_month = day + 1;
}

int main(int argc, char **argv)
{
    long long rows = argc > 1 ? atoll(argv[1]) : 3000000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 2001;
    static char buffer[1 << 20];
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    make_airports(&seed);
    make_minutes();
    puts("ts,delay,distance,origin,destination");
    for (long long i = 0; i < rows; i++) {
        double at = (double)i / (double)rows * DAYS;
        int day = (int)at, minute = minute_of[(int)((at - day) * countof(minute_of))], month, of_month;
        date_of(day, &month, &of_month);
        const struct airport *from = &airports[find_airport(random_unit(&seed))];
        int k = (int)random_below(&seed, ROUTES);
        printf("2001-%02d-%02d %02d:%02d:00,%d,%d,%s,%s\n", month, of_month, minute / 60, minute % 60,
               pick(delays, random_unit(&seed)), from->distance[k], from->name, airports[from->to[k]].name);
    }
    return fflush(stdout) || ferror(stdout);
}
