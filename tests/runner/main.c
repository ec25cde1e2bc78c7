/* slt [-v] [FILE or FOLDER]...: runs .slt files and .md pages; streaming ones in several ways. One line a file, then
 * "N passed, N failed". SLT_FULL=1: all 24 ways. SPDX-License-Identifier: Apache-2.0 */
#include "slt.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int passed, failed;
static bool verbose;

/* A pairwise cover of workers x batch x restart x driver. */
static const struct slt_way cover[] = {
    {1, 0, false, false}, {4, 7, false, true}, {1, 1, false, false}, {4, 1, true, true},
    {1, 7, true, false},  {1, 0, true, true},  {4, 0, false, false},
};

static int full(struct slt_way *out)
{
    static const uint32_t batches[] = {1, 7, 0};
    int n = 0;
    for (int w = 1; w <= 4; w += 3)
        for (int b = 0; b < 3; b++)
            for (int r = 0; r < 2; r++)
                for (int d = 0; d < 2; d++) out[n++] = (struct slt_way){w, batches[b], r, d};
    return n;
}

static char *read_all(const char *path)
{
    FILE *f = fopen(path, "r");
    char *text = NULL;
    size_t n = 0;
    if (!f || getdelim(&text, &n, 0, f) < 0) {
        free(text);
        text = NULL;
    }
    if (f) fclose(f);
    return text;
}

static void tell_way(FILE *out, const struct slt_way *w)
{
    fprintf(out, "  with %d workers, batch %u, %s, %s\n", w->workers, w->batch, w->restart ? "restarted" : "straight",
            w->driver ? "driver" : "threads");
}

static void run_file(const char *path)
{
    char *text = read_all(path), *why;
    size_t n, len = strlen(path);
    if (text && len > 3 && !strcmp(path + len - 3, ".md")) {
        char *markdown = text;
        text = slt_from_markdown(markdown);
        free(markdown);
    }
    printf("%s ", path);
    fflush(stdout);
    struct slt_way all[24];
    int ways = 1;
    memcpy(all, cover, sizeof cover);
    if (text && slt_is_streaming(text))
        ways = getenv("SLT_FULL") ? full(all) : (int)(sizeof cover / sizeof cover[0]) - 1;
    enum slt_end end = text ? SLT_PASSED : SLT_FAILED;
    FILE *tell = open_memstream(&why, &n);
    /* The first way of the cover is the plain one; a streaming file runs in the other six. */
    for (int i = 0; text && i < ways && end != SLT_FAILED; i++) {
        const struct slt_way *way = ways > 1 && !getenv("SLT_FULL") ? &all[i + 1] : &all[i];
        enum slt_end e = slt_run(path, text, way, tell);
        if (e == SLT_FAILED) end = e;
        if (e == SLT_FAILED || verbose) tell_way(tell, way);
    }
    fclose(tell);
    puts(end == SLT_PASSED ? "ok" : "FAILED");
    if (end == SLT_FAILED || verbose) fputs(why, stdout);
    passed += end == SLT_PASSED;
    failed += end == SLT_FAILED;
    free(why);
    free(text);
}

static bool wanted(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && (!strcmp(dot, ".slt") || !strcmp(dot, ".md"));
}

static void run_path(const char *path)
{
    struct stat st;
    struct dirent **names;
    if (stat(path, &st) || !S_ISDIR(st.st_mode)) {
        run_file(path);
        return;
    }
    int n = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char inner[4096];
        snprintf(inner, sizeof inner, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.' && (stat(inner, &st) || S_ISDIR(st.st_mode) || wanted(inner))) run_path(inner);
        free(names[i]);
    }
    if (n >= 0) free(names);
}

int main(int argc, char **argv)
{
    int given = 0;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "-v"))
            verbose = true;
        else
            run_path(argv[i]), given++;
    }
    if (!given) run_path("tests/sql");
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
