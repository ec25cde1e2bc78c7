/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include "base/text.h"

#include <string.h>

#define NAME_MAX_N 200

static const char *const words[] = {"password", "passwd", "passphrase", "passcode", "pwd", "secret", "token", "credential", "authorization", "jaas"};

/* Words are also run together, as in apitoken: the separators fall away. Returns its length. */
static size_t fold(const char *s, size_t n, char *out)
{
    size_t k = 0;
    for (size_t i = 0; i < n && k < NAME_MAX_N; i++)
        if (s[i] != '.' && s[i] != '_' && s[i] != '-') out[k++] = s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] + 32) : s[i];
    out[k] = 0;
    return k;
}

/* A word of the name that is one of ours but for a slip of the finger, or two in a long one. */
static bool misspelt(const char *s, size_t n)
{
    for (size_t i = 0, k; i < n; i += k + 1) {
        char word[16];
        for (k = 0; i + k < n && s[i + k] != '.' && s[i + k] != '_' && s[i + k] != '-';) k++;
        if (k < 3 || k >= sizeof word) continue;
        memcpy(word, s + i, k), word[k] = 0;
        if (!text_casecmp(word, "pass")) return true;
        for (size_t w = 0; w < countof(words); w++) {
            size_t length = strlen(words[w]);
            if (length > 4 && text_distance(word, words[w]) <= (length < 8 ? 1 : 2)) return true;
        }
    }
    return false;
}

enum secret secret_name(const char *s, size_t n)
{
    char name[NAME_MAX_N + 1];
    size_t k = fold(s, n, name);
    for (size_t i = 0; i < countof(words); i++)
        if (strstr(name, words[i])) return SECRET_YES;
    if (misspelt(s, n)) return SECRET_YES;
    if (!strcmp(name, "primarykey")) return SECRET_NO;
    return k >= 3 && !strcmp(name + k - 3, "key") ? SECRET_KEY : SECRET_NO;
}
