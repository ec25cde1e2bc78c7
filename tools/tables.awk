# What options_doc says of a module, as the end of its page: the tables, under headings where there are several classes.
# SPDX-License-Identifier: Apache-2.0
{ line[++n] = $0 }
/^### / { classes++ }
END {
    for (i = 1; i <= n; i++) {
        heading = classes > 1 && line[i] ~ /^### /
        behind = classes > 1 && line[i] == "" && line[i - 1] ~ /^(### |[|])/
        if (line[i] ~ /^[|]/ || heading || behind) kept[++k] = line[i]
    }
    while (k && kept[k] == "") k--
    for (i = 1; i <= k; i++) print kept[i]
}
