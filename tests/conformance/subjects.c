/* The connectors and their worlds: one line each. SPDX-License-Identifier: Apache-2.0 */
#include "suite.h"

#include "connector/mock.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

const char *subject_options(const struct subject *s, const char *options)
{
    static char texts[4][512];
    static int next;
    char *out = texts[next++ % 4];
    struct text t = {0};
    for (const char *p = options ? options : s->options; *p; p++)
        if (*p == '@')
            text_puts(&t, world);
        else if (*p == '#')
            text_printf(&t, "%d", world_port);
        else if (*p == '~')
            text_puts(&t, strrchr(world, '/') + 1);
        else if (*p == '$')
            text_puts(&t, getenv("LAMINAR_SERVER"));
        else
            text_putc(&t, *p);
    snprintf(out, sizeof texts[0], "%s", text_cstr(&t));
    text_done(&t);
    return out;
}

/* ---- file, stdout, mock ------------------------------------------------------------------------------------- */

static char *out_file(void)
{
    return world_read("out.json");
}

static void stdout_up(void)
{
    tap_start();
}
static void stdout_down(void)
{
    free(tap_stop());
}

static char *mock_arrived(void)
{
    char *rows = mock_rows("t"), *out = strdup(rows);
    mem_free(rows);
    return out;
}

/* Mocks play their part by script. */
static void by_script(bool flag)
{
    (void)flag;
}

static void touch_in(void)
{
    world_write("in.json", "", 0);
}
static void give_file(const char *text, size_t n, bool last)
{
    (void)last;
    world_append("in.json", text, n);
}

static int stdin_pipes[2], stdin_saved;
static void stdin_up(void)
{
    if (pipe(stdin_pipes)) abort();
    stdin_saved = dup(0);
    dup2(stdin_pipes[0], 0);
    close(stdin_pipes[0]);
}
static void stdin_end(void)
{
    if (stdin_pipes[1] >= 0) close(stdin_pipes[1]);
    stdin_pipes[1] = -1;
}
static void stdin_down(void)
{
    stdin_end();
    dup2(stdin_saved, 0);
    close(stdin_saved);
}
static void give_stdin(const char *text, size_t n, bool last)
{
    fcntl(stdin_pipes[1], F_SETFL, O_NONBLOCK);
    for (size_t at = 0; at < n;) {
        ssize_t k = write(stdin_pipes[1], text + at, n - at);
        if (k > 0) at += (size_t)k;
        if (k < 0) usleep(1000);
    }
    if (last) stdin_end();
}

/* ---- spool --------------------------------------------------------------------------------------------------- */

static void spool_up(void)
{
    mkdir(world_path("spool"), 0777);
}

static char *spool_text, *spool_gone; /* gone: of files that the other side has taken away */

static int is_record(const struct dirent *e)
{
    return strstr(e->d_name, ".rec") != NULL;
}

static void spool_read(bool take)
{
    struct dirent **names;
    int n = scandir(world_path("spool"), &names, is_record, alphasort);
    struct text all = {0};
    if (spool_gone) text_puts(&all, spool_gone);
    for (int i = 0; i < n; i++) {
        char path[600];
        snprintf(path, sizeof path, "%s/spool/%s", world, names[i]->d_name);
        char *one = world_read(path);
        text_puts(&all, one);
        if (take) unlink(path);
        free(one);
        free(names[i]);
    }
    if (n >= 0) free(names);
    free(spool_text);
    spool_text = strdup(text_cstr(&all));
    text_done(&all);
    if (!take) return;
    free(spool_gone);
    spool_gone = strdup(spool_text);
}

static char *spool_arrived(void)
{
    spool_read(false);
    return strdup(spool_text);
}

static void spool_end(void)
{
    free(spool_text), free(spool_gone);
    spool_text = spool_gone = NULL;
}

static void spool_away(bool down)
{
    if (rename(world_path(down ? "spool" : "away"), world_path(down ? "away" : "spool"))) abort();
}

/* With max.files the sink waits for files to be taken away. */
static void spool_hold(bool hold)
{
    for (int i = 0; !hold && i < 400; i++) {
        spool_read(true);
        usleep(5000);
    }
}

static void give_spool(const char *text, size_t n, bool last)
{
    static int number;
    char name[64], to[64];
    (void)last;
    number++;
    snprintf(name, sizeof name, "spool/.new%d", number);
    snprintf(to, sizeof to, "spool/%012d.rec", number);
    world_write(name, text, n);
    if (rename(world_path(name), world_path(to))) abort();
}

/* ---- letters --------------------------------------------------------------------------------------------------- */

static void letters_up(void)
{
    mkdir(world_path("letters"), 0777);
}

static int letters_number, letters_taken;
static char *letters_gone; /* of files that the other side has taken away */
static int is_letter(const struct dirent *e)
{
    return strstr(e->d_name, ".letter") != NULL;
}

static char *letters_read(bool take)
{
    struct dirent **names;
    int n = scandir(world_path("letters"), &names, is_letter, alphasort);
    struct text all = {0};
    int taken = 0;
    if (letters_gone) text_puts(&all, letters_gone);
    for (int i = 0; i < n; i++) {
        char path[600];
        bool gap =
            atoi(names[i]->d_name) != letters_taken + i + 1; /* a folder that is read while it changes may hide one */
        snprintf(path, sizeof path, "%s/letters/%s", world, names[i]->d_name);
        free(names[i]);
        if (gap) continue;
        char *one = world_read(path);
        text_printf(&all, "%s\n", one);
        if (take) unlink(path), taken++;
        free(one);
    }
    if (n >= 0) free(names);
    letters_taken += taken;
    char *text = strdup(text_cstr(&all));
    text_done(&all);
    return text;
}

static char *letters_arrived(void)
{
    return letters_read(false);
}

static void letters_end(void)
{
    free(letters_gone);
    letters_gone = NULL;
    letters_number = letters_taken = 0;
}

static void letters_away(bool down)
{
    if (rename(world_path(down ? "letters" : "away"), world_path(down ? "away" : "letters"))) abort();
}

/* With max.files the sink waits for files to be taken away. */
static void letters_hold(bool hold)
{
    for (int idle = 0; !hold && idle < 10; usleep(60000)) {
        int before = letters_taken;
        char *all = letters_read(true);
        free(letters_gone);
        letters_gone = all;
        idle = letters_taken == before ? idle + 1 : 0;
    }
}

static void give_letters(const char *text, size_t n, bool last)
{
    (void)last;
    for (const char *p = text, *end; p < text + n; p = end + 1) {
        char name[64], to[64];
        end = strchr(p, '\n');
        snprintf(name, sizeof name, "letters/.new%d", ++letters_number);
        snprintf(to, sizeof to, "letters/%012d.letter", letters_number);
        world_write(name, p, (size_t)(end - p));
        if (rename(world_path(name), world_path(to))) abort();
    }
}

/* ---- wire ------------------------------------------------------------------------------------------------------ */

static void wire_up(void)
{
    peer_start(world_path("wire"));
}

/* ---- ledger ---------------------------------------------------------------------------------------------------- */

static int ledger_fd = -1;
static void ledger_hold(bool hold)
{
    if (ledger_fd < 0) ledger_fd = open(world_path("ledger"), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (flock(ledger_fd, hold ? LOCK_EX : LOCK_UN)) abort();
}
static void ledger_end(void)
{
    if (ledger_fd >= 0) close(ledger_fd);
    ledger_fd = -1;
}
static char *ledger_arrived(void)
{
    return world_read("ledger");
}

static void ledger_up(void)
{
    world_write("ledger", "", 0);
}

/* JSON lines, each with k and t, as a ledger. */
static void give_ledger(const char *text, size_t n, bool last)
{
    static int epoch;
    struct text out = {0};
    (void)last;
    for (const char *p = text; p < text + n; p = strchr(p, '\n') + 1) {
        const char *t = strstr(p, "\"t\":") + 4;
        text_printf(&out, "%ld,", strtol(p + strlen("{\"k\":"), NULL, 10));
        if (*t == 'n')
            text_puts(&out, "NULL");
        else
            for (text_putc(&out, ':'), t++; *t != '"'; t++) {
                text_putc(&out, "0123456789abcdef"[(unsigned char)*t >> 4]);
                text_putc(&out, "0123456789abcdef"[*t & 15]);
            }
        text_putc(&out, '\n');
    }
    text_printf(&out, "= %d\n", ++epoch);
    world_append("ledger", out.p, out.n);
    text_done(&out);
}

#define DISK "its errors are the disk's, and final"

/* ---- servers: LAMINAR_POSTGRES and LAMINAR_KAFKA are programs that do what they are told about the case's folder ------- */

static FILE *server_do(const char *program, const char *verb, const char *mode)
{
    char command[600];
    snprintf(command, sizeof command, "%s %s %s", getenv(program), verb, world);
    FILE *at = popen(command, mode);
    if (!at) abort();
    return at;
}

static void server_wait(const char *program, const char *verb)
{
    if (pclose(server_do(program, verb, "r"))) fprintf(stderr, "%s failed\n", verb);
}

static char *server_read(const char *program, const char *verb)
{
    struct text all = {0};
    char part[4096];
    FILE *out = server_do(program, verb, "r");
    for (size_t n; (n = fread(part, 1, sizeof part, out));) text_put(&all, part, n);
    pclose(out);
    char *rows = strdup(text_cstr(&all));
    text_done(&all);
    return rows;
}

static void postgres_up(void) { server_wait("LAMINAR_POSTGRES", "up"); }
static void postgres_away(bool down) { server_wait("LAMINAR_POSTGRES", down ? "stop" : "start"); }
static void postgres_hold(bool hold) { server_wait("LAMINAR_POSTGRES", hold ? "hold" : "release"); }
static void postgres_end(void) { server_wait("LAMINAR_POSTGRES", "release"); }
static char *postgres_arrived(void) { return server_read("LAMINAR_POSTGRES", "rows"); }

/* Each case has a topic. */
static void kafka_up(void) { server_wait("LAMINAR_KAFKA", "up"); }
static void kafka_away(bool down) { server_wait("LAMINAR_KAFKA", down ? "stop" : "start"); }
static void kafka_hold(bool hold) { server_wait("LAMINAR_KAFKA", hold ? "hold" : "release"); }
static void kafka_end(void) { server_wait("LAMINAR_KAFKA", "release"); }
static char *kafka_arrived(void) { return server_read("LAMINAR_KAFKA", "rows"); }

static void give_kafka(const char *text, size_t n, bool last)
{
    (void)last;
    FILE *in = server_do("LAMINAR_KAFKA", "give", "w");
    if (fwrite(text, 1, n, in) != n || pclose(in)) fprintf(stderr, "give failed\n");
}

const struct subject sinks[] = {
    {.name = "file",
     .options = "path = '@/out.json', mode = 'append'",
     .nowhere = "path = '/nowhere/at/all.json'",
     .arrived = out_file,
     .no_outage = DISK,
     .no_hold = "a disk takes all in"},
    {.name = "stdout",
     .options = "format = 'json'",
     .set_up = stdout_up,
     .tear_down = stdout_down,
     .arrived = tap_seen,
     .no_outage = "who reads may go, and that ends it well",
     .hold = tap_hold},
    {.name = "blackhole",
     .options = "batch.rows = 100",
     .no_outage = "there is nothing to fail",
     .no_hold = "there is nothing to wait for"},
    {.name = "mock",
     .options = "name = 't', script = 'fail write 2-4 retry; fail flush 1 retry'",
     .nowhere = "script = 'fail open 1-'",
     .arrived = mock_arrived,
     .down = by_script,
     .hold = by_script,
     .held = "name = 't', script = 'hang write 2-'"},
    {.name = "mock.blocking",
     .options = "name = 't', script = 'fail write 2-4 retry; fail flush 1 retry'",
     .nowhere = "script = 'fail open 1-'",
     .arrived = mock_arrived,
     .down = by_script,
     .hold = by_script,
     .held = "name = 't', script = 'hang write 2-'"},
    {.name = "spool",
     .module = "spool",
     .options = "path = '@/spool'",
     .nowhere = "path = '/nowhere/at/all'",
     .set_up = spool_up,
     .tear_down = spool_end,
     .arrived = spool_arrived,
     .down = spool_away,
     .hold = spool_hold,
     .held = "path = '@/spool', max.files = 2, flush.interval = '10 ms', batch.rows = 2000"},
    {.name = "letters",
     .module = "letters",
     .options = "path = '@/letters'",
     .nowhere = "path = '/nowhere/at/all'",
     .set_up = letters_up,
     .tear_down = letters_end,
     .arrived = letters_arrived,
     .down = letters_away,
     .hold = letters_hold,
     .held = "path = '@/letters', max.files = 4000, flush.interval = '10 ms'"},
    {.name = "wire",
     .module = "wire",
     .options = "path = '@/wire'",
     .nowhere = "path = '/nowhere/at/all'",
     .set_up = wire_up,
     .tear_down = peer_stop,
     .arrived = peer_lines,
     .down = peer_down,
     .hold = peer_hold},
    {.name = "ledger",
     .module = "ledger",
     .options = "path = '@/ledger'",
     .nowhere = "path = '/nowhere/at/all'",
     .pair = "k, t",
     .tear_down = ledger_end,
     .arrived = ledger_arrived,
     .no_outage = DISK,
     .hold = ledger_hold,
     .poison = "SELECT NULLIF(k, -1) AS k, t FROM s"},
    {.name = "websocket",
     .module = "websocket",
     .needs = "LAMINAR_WEBSOCKET",
     .options = "bind.address = '#', replay.buffer.size = '64 MiB', per.client.buffer = '128 MiB', drain.timeout.ms = '20 s'",
     .nowhere = "bind.address = '203.0.113.1:80', allow.insecure = 'true'",
     .set_up = websocket_up,
     .tear_down = websocket_end,
     .ready = websocket_ready,
     .arrived = websocket_arrived,
     .down = websocket_away,
     .hold = websocket_hold},
    {.name = "ws", /* the same class by its other name */
     .module = "websocket",
     .needs = "LAMINAR_WEBSOCKET_PARTNER",
     .options = "url = 'ws://127.0.0.1:#/'",
     .nowhere = "url = 'ws://127.0.0.1:1/'",
     .set_up = websocket_dial_take,
     .tear_down = websocket_dial_end,
     .arrived = websocket_dial_arrived,
     .no_outage = "what is on its way then may be lost: at most once",
     .hold = websocket_dial_hold},
    {.name = "postgres",
     .module = "postgres",
     .needs = "LAMINAR_POSTGRES",
     .pair = "k, t",
     .options = "hostname = '@', database = 'postgres', username = 'lam', table.name = 'o'",
     .nowhere = "hostname = '/nowhere/at/all', database = 'postgres', username = 'lam', table.name = 'o'",
     .set_up = postgres_up,
     .tear_down = postgres_end,
     .arrived = postgres_arrived,
     .down = postgres_away,
     .hold = postgres_hold,
     .poison = "SELECT NULLIF(k, -1) AS k, t FROM s"},
    {.name = "kafka",
     .module = "kafka",
     .needs = "LAMINAR_KAFKA",
     .options = "bootstrap.servers = '$', topic = '~'",
     .nowhere = "bootstrap.servers = '127.0.0.1:1', topic = 'o'",
     .set_up = kafka_up,
     .tear_down = kafka_end,
     .arrived = kafka_arrived,
     .down = kafka_away,
     .hold = kafka_hold},
    {0},
};

const struct subject sources[] = {
    {.name = "file",
     .options = "path = '@/in.json'",
     .nowhere = "path = '/nowhere/at/all.json'",
     .set_up = touch_in,
     .give = give_file,
     .follow = "path = '@/in.json', follow = true",
     .no_outage = DISK},
    {.name = "generator",
     .options = "rows = 1000",
     .is_own = true,
     .follow = "rows = 0",
     .no_outage = "there is nothing to fail"},
    {.name = "stdin",
     .options = "format = 'json'",
     .set_up = stdin_up,
     .tear_down = stdin_down,
     .give = give_stdin,
     .no_outage = "its end is its end"},
    {.name = "mock",
     .options = "rows = '0,row 0;1,row 1;2,row 2;3,\\N;4,'",
     .nowhere = "script = 'fail open 1-'",
     .is_own = true,
     .follow = "endless = true, rows = '0,row 0;1,row 1;2,row 2;3,\\N;4,', script = 'wait 1 ms'",
     .no_outage = "a poll that fails is the end, as its script says"},
    {.name = "mock.blocking",
     .options = "rows = '0,row 0;1,row 1;2,row 2;3,\\N;4,'",
     .nowhere = "script = 'fail open 1-'",
     .is_own = true,
     .follow = "endless = true, rows = '0,row 0;1,row 1;2,row 2;3,\\N;4,', script = 'hang poll 3'",
     .no_outage = "a poll that fails is the end, as its script says"},
    {.name = "spool",
     .module = "spool",
     .options = "path = '@/spool'",
     .nowhere = "path = '/nowhere/at/all'",
     .set_up = spool_up,
     .tear_down = spool_end,
     .give = give_spool,
     .follow = "path = '@/spool', follow = true",
     .down = spool_away},
    {.name = "letters",
     .module = "letters",
     .options = "path = '@/letters'",
     .nowhere = "path = '/nowhere/at/all'",
     .set_up = letters_up,
     .tear_down = letters_end,
     .give = give_letters,
     .follow = "path = '@/letters', follow = true",
     .down = letters_away},
    {.name = "wire",
     .module = "wire",
     .options = "path = '@/wire'",
     .nowhere = "path = '/nowhere/at/all'",
     .set_up = wire_up,
     .tear_down = peer_stop,
     .give = peer_give,
     .follow = "path = '@/wire', follow = true",
     .down = peer_down},
    {.name = "ledger",
     .module = "ledger",
     .options = "path = '@/ledger'",
     .nowhere = "path = '/nowhere/at/all'",
     .pair = "k, t",
     .set_up = ledger_up,
     .give = give_ledger,
     .follow = "path = '@/ledger', follow = true",
     .no_outage = DISK},
    {.name = "ws",
     .module = "websocket",
     .needs = "LAMINAR_WEBSOCKET_PARTNER",
     .options = "url = 'ws://127.0.0.1:#/', reconnect.enabled = false",
     .nowhere = "url = 'ws://127.0.0.1:1/', reconnect.enabled = false",
     .set_up = websocket_dial_give,
     .tear_down = websocket_dial_end,
     .give = websocket_dial_line,
     .follow = "url = 'ws://127.0.0.1:#/'",
     .no_outage = "what is sent while it is away is missed"},
    {.name = "kafka",
     .module = "kafka",
     .needs = "LAMINAR_KAFKA",
     .options = "bootstrap.servers = '$', topic = '~', bounded = true",
     .nowhere = "bootstrap.servers = '127.0.0.1:1', topic = 'o'",
     .set_up = kafka_up,
     .tear_down = kafka_end,
     .give = give_kafka,
     .follow = "bootstrap.servers = '$', topic = '~'",
     .down = kafka_away},
    {0},
};
