/* options_doc [MODULE]...: prints docs/connectors.md from the tables that options are read by; with modules, a page of their
 * connectors alone. SPDX-License-Identifier: Apache-2.0 */
#include "connector/connector.h"
#include "connector/module.h"
#include "format/format.h"
#include "plan/catalog.h"

#include <stdio.h>
#include <string.h>

static const char *const type_names[] = {
    [OPT_TEXT] = "text", [OPT_BOOL] = "boolean",      [OPT_INT] = "integer", [OPT_DOUBLE] = "number",
    [OPT_SIZE] = "size", [OPT_DURATION] = "duration", [OPT_CHAR] = "byte",
};

/* In a table a bar would end the cell. */
static void print_cell(const char *text)
{
    for (; *text; text++) {
        if (*text == '|') putchar('\\');
        if (*text == '\t')
            fputs("\\t", stdout);
        else
            putchar(*text);
    }
}

static void print_type(const struct option_spec *o)
{
    if (o->type != OPT_ENUM) {
        fputs(type_names[o->type], stdout);
        return;
    }
    for (const char *v = o->values; *v; v++)
        if (*v == '|')
            fputs(", ", stdout);
        else
            putchar(*v);
}

static void print_default(const struct option_spec *o)
{
    if (o->flags & OPT_REQUIRED) {
        fputs("(required)", stdout);
    } else if (o->dflt && !*o->dflt) {
        fputs("(nothing)", stdout);
    } else if (o->dflt) {
        putchar('`');
        print_cell(o->dflt);
        putchar('`');
    }
}

static void print_also(const char *names)
{
    for (const char *p = names; p && *p; p += *p == '|') {
        size_t n = strcspn(p, "|");
        printf("%s `%.*s`", p == names ? ", also" : ",", (int)n, p);
        p += n;
    }
}

/* Names that users bring from elsewhere. */
static void print_refused(const struct option_spec *o)
{
    bool any = false;
    for (; o->name; o++) {
        if (!(o->flags & OPT_REFUSED)) continue;
        if (!any) puts("| refused | |\n|---|---|");
        any = true;
        printf("| `%s`", o->name);
        print_also(o->also);
        fputs(" | ", stdout);
        print_cell(o->sentence);
        puts(" |");
    }
    if (any) puts("");
}

static void print_table(const struct option_spec *o)
{
    const struct option_spec *table = o;
    if (!o->name) {
        puts("No options of its own.\n");
        return;
    }
    puts("| option | type | default | |\n|---|---|---|---|");
    for (; o->name; o++) {
        if (o->flags & OPT_REFUSED) continue;
        printf("| `%s`", o->name);
        print_also(o->also);
        fputs(" | ", stdout);
        print_type(o);
        fputs(" | ", stdout);
        print_default(o);
        fputs(" | ", stdout);
        print_cell(o->sentence);
        puts(" |");
    }
    puts("");
    print_refused(table);
}

/* Columns that messages carry beside their values. */
static void print_metadata(const struct metadata *m)
{
    char type[64];
    if (!m) return;
    puts("| column | type | |\n|---|---|---|");
    for (; m->name; m++) {
        printf("| `%s` | %s | ", m->name, type_name(m->type, type));
        print_cell(m->sentence);
        puts(" |");
    }
    puts("");
}

/* mock is for tests. */
static bool shown(const char *name, const struct module *m, bool of_modules) { return strncmp(name, "mock", 4) && !m != of_modules; }

static void print_sources(bool of_modules)
{
    puts("## Sources: `CREATE SOURCE ... FROM NAME (...)`\n");
    if (!of_modules) puts("### Every source\n"), print_table(source_options);
    for (int i = 0; source_class_at(i); i++) {
        const struct source_class *c = source_class_at(i);
        if (!shown(c->name, c->module, of_modules)) continue;
        printf("### Source: %s\n\n%s\n\n", c->name, c->sentence);
        print_table(c->options);
        print_metadata(c->metadata);
    }
}

static void print_sinks(bool of_modules)
{
    puts("## Sinks: `CREATE SINK ... INTO NAME (...)`\n");
    if (!of_modules) puts("### Every sink\n"), print_table(sink_options);
    for (int i = 0; sink_class_at(i); i++) {
        const struct sink_class *c = sink_class_at(i);
        if (!shown(c->name, c->module, of_modules)) continue;
        printf("### Sink: %s\n\n%s\n\n", c->name, c->sentence);
        print_table(c->options);
        print_metadata(c->metadata);
    }
}

/* Whether name i stands for a class that an earlier name has shown. */
static bool is_alias(int i)
{
    for (int k = 0; k < i; k++)
        if (decoder_find(format_name(NULL, k)) == decoder_find(format_name(NULL, i)) &&
            encoder_find(format_name(NULL, k)) == encoder_find(format_name(NULL, i)))
            return true;
    return false;
}

static void print_names(int i)
{
    fputs(format_name(NULL, i), stdout);
    for (int k = i + 1, n = 0; format_name(NULL, k); k++)
        if (encoder_find(format_name(NULL, k)) == encoder_find(format_name(NULL, i)))
            printf("%s%s", n++ ? ", " : " (also ", format_name(NULL, k));
    for (int k = i + 1; format_name(NULL, k); k++)
        if (encoder_find(format_name(NULL, k)) == encoder_find(format_name(NULL, i))) {
            putchar(')');
            break;
        }
}

static void print_formats(void)
{
    puts("## Formats: `format = 'name'`\n");
    for (int i = 0; format_name(NULL, i); i++) {
        const struct decoder_class *in = decoder_find(format_name(NULL, i));
        const struct encoder_class *out = encoder_find(format_name(NULL, i));
        if (is_alias(i)) continue;
        fputs("### Format: ", stdout);
        print_names(i);
        puts("\n");
        if (in && !in->next) puts("For connectors of messages: the bytes of the one column are the whole value.\n");
        if (in && out && in->options == out->options) {
            puts("Reading and writing.\n");
            print_table(in->options);
            continue;
        }
        if (in) puts("Reading.\n"), print_table(in->options);
        if (out) puts("Writing.\n"), print_table(out->options);
    }
}

static int print_modules(int n, char **paths)
{
    puts("# Connectors of modules\n");
    for (int i = 0; i < n; i++) {
        struct err err;
        if (!module_load(paths[i], NULL, &err)) continue;
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    print_sources(true);
    print_sinks(true);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1) return print_modules(argc - 1, argv + 1);
    puts("# Connectors and formats\n\n"
         "Made by `make docs` from the tables that the options are read by; `make check` fails when it is out of date.\n\n"
         "Options are written `name = 'value'`; `_`, `-` and `.` in a name mean the same. A size is bytes or `'64 MiB'`, a duration\n"
         "`'250 ms'`, `'5 s'` or `'1 minute'`. An option that does not exist is refused, with the nearest that does.\n");
    print_sources(false);
    print_sinks(false);
    print_formats();
    return 0;
}
