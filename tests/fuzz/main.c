/* Runs a fuzz target without a fuzzer: replays the files and folders given, then `-n N` inputs made from them (or from
 * nothing) by mutation with seed `-s S`. Link with libFuzzer or AFL++ in place of this file to search for long.
 * SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define SEEDS_MAX 4096
#define INPUT_MAX 65536

static struct {
    uint8_t *p;
    size_t n;
} seeds[SEEDS_MAX];
static size_t seed_count;
static uint64_t state = 1;

static uint64_t next_random(void)
{
    state += 0x9e3779b97f4a7c15ull;
    uint64_t z = state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

/* The target gets a block of exactly n bytes, so that the sanitizer sees the byte after it. */
static void run(const uint8_t *p, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    if (n) memcpy(copy, p, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static void replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f || seed_count == SEEDS_MAX) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    uint8_t *p = malloc(INPUT_MAX);
    size_t n = fread(p, 1, INPUT_MAX, f);
    fclose(f);
    seeds[seed_count].p = p;
    seeds[seed_count++].n = n;
    run(p, n);
}

static void replay(const char *path)
{
    DIR *d = opendir(path);
    if (!d) {
        replay_file(path);
        return;
    }
    for (struct dirent *e; (e = readdir(d));) {
        char inner[4096];
        if (e->d_name[0] == '.') continue;
        snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
        replay_file(inner);
    }
    closedir(d);
}

static size_t mutate(uint8_t *p, size_t n)
{
    for (uint64_t times = 1 + next_random() % 8; times; times--) {
        size_t at = n ? next_random() % n : 0;
        switch (next_random() % 5) {
        case 0:
            if (n) p[at] ^= (uint8_t)(1u << next_random() % 8);
            break;
        case 1:
            if (n) p[at] = (uint8_t)next_random();
            break;
        case 2:
            if (n) n = at;
            break;
        case 3:
            if (n && n < INPUT_MAX) memmove(p + at + 1, p + at, n - at), n++;
            break;
        default:
            for (size_t k = 1 + next_random() % 16; k && n < INPUT_MAX; k--) p[n++] = (uint8_t)next_random();
        }
    }
    return n;
}

int main(int argc, char **argv)
{
    long rounds = 0;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "-n") && i + 1 < argc)
            rounds = atol(argv[++i]);
        else if (!strcmp(argv[i], "-s") && i + 1 < argc)
            state = strtoull(argv[++i], NULL, 10);
        else
            replay(argv[i]);
    }
    uint8_t *p = malloc(INPUT_MAX);
    for (long i = 0; i < rounds; i++) {
        size_t k = seed_count ? next_random() % seed_count : 0, n = seed_count ? seeds[k].n : 0;
        if (n) memcpy(p, seeds[k].p, n);
        if (!seed_count)
            for (n = 0; n < next_random() % 2048;) p[n++] = (uint8_t)next_random();
        n = mutate(p, n);
        run(p, n);
    }
    free(p);
    printf("%zu files, %ld mutations\n", seed_count, rounds);
    for (size_t i = 0; i < seed_count; i++) free(seeds[i].p);
    return 0;
}
