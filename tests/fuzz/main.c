/* Replays files through a fuzz target without a fuzzer: each argument is a file or a folder of files. Prints how many
 * ran. SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int replay_file(const char *path, size_t size)
{
    FILE *f = fopen(path, "rb");
    if (!f) return fprintf(stderr, "%s: %s\n", path, strerror(errno)), -1;
    /* Exactly as large as the file, so that a sanitizer sees a read past its end. */
    uint8_t *data = malloc(size ? size : 1);
    size_t n = data ? fread(data, 1, size, f) : 0;
    fclose(f);
    uint8_t *exact = malloc(n ? n : 1);
    if (exact && n) memcpy(exact, data, n);
    free(data);
    if (exact) LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    return 1;
}

static int replay(const char *path);

static int replay_folder(const char *path)
{
    struct dirent **names;
    int n = scandir(path, &names, NULL, alphasort), ran = 0;
    if (n < 0) return fprintf(stderr, "%s: %s\n", path, strerror(errno)), -1;
    for (int i = 0; i < n; i++) {
        char inner[4096];
        snprintf(inner, sizeof inner, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.' && ran >= 0) {
            int k = replay(inner);
            ran = k < 0 ? -1 : ran + k;
        }
        free(names[i]);
    }
    free(names);
    return ran;
}

static int replay(const char *path)
{
    struct stat st;
    if (stat(path, &st)) return fprintf(stderr, "%s: %s\n", path, strerror(errno)), -1;
    return S_ISDIR(st.st_mode) ? replay_folder(path) : replay_file(path, (size_t)st.st_size);
}

int main(int argc, char **argv)
{
    int ran = 0;
    for (int i = 1; i < argc; i++) {
        int n = replay(argv[i]);
        if (n < 0) return 1;
        ran += n;
    }
    printf("%d inputs\n", ran);
    return 0;
}
