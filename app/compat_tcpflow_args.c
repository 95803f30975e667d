/* SPDX-License-Identifier: BSD-3-Clause */
/* tcpflow's command line: options, -S settings, scanners, name letters, and the mistakes that its tutorials teach. */
#include "app/compat_tcpflow_args.h"

#include <ctype.h>
#include <stdarg.h>
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FLAG(letter, help) {WS_OPT_SHORT, letter, WS_OPT_FLAG, NULL, 1, 0, help}
#define VALUE(letter, arg, help) {WS_OPT_SHORT, letter, WS_OPT_STRING, arg, 1, 0, help}
#define GROUP(title) {"", 0, WS_OPT_FLAG, NULL, 1, 0, title}

enum { OPT_CHROOT = 'z', OPT_VERSION = 'V' };

const struct ws_opt tcpflow_options[] = {
    GROUP("Input"),
    VALUE('r', "FILE", "read packets from FILE (pcap or pcapng, also gz, zst, xz, bz2, zip); - is standard input; repeatable"),
    VALUE('R', "FILE", "read FILE after all -r ones, only to complete the flows that are still open; repeatable"),
    FLAG('l', "the remaining words are input files (patterns are expanded), not a filter expression"),
    VALUE('i', "IFACE", "capture from this interface (also any); default without -r: libpcap's first device"),
    FLAG('p', "do not ask for promiscuous mode"),
    GROUP("Files"),
    VALUE('o', "DIR", "write files to DIR, which is made (default .)"),
    VALUE('F', "LETTERS", "names: c counter on all, t Unix time first, T ISO time first, k m g bins of 1000 in 1, 2 or 3 levels; X no files but the report; M MD5 into the report; in the order given"),
    VALUE('T', "TEMPLATE", "names: %A %a source address and port, %B %b destination, %E %e MACs, %T %t start, %V %v VLAN, %C %c %# counter, %N %K %M %G %S connection number, %% (default %A.%a-%B.%b%V%v%C%c)"),
    VALUE('b', "BYTES", "keep at most BYTES of each flow; 0 makes empty files"),
    VALUE('m', "BYTES", "a jump of more than BYTES begins a new file (default 16777216)"),
    VALUE('f', "N", "files open at once"),
    FLAG('I', "write FLOW.findx beside each file: offset|time|length of each packet"),
    FLAG('K', "write the packets of each direction as FLOW.pcap instead of their bytes"),
    FLAG('s', "replace what is not printable by a dot, on the console and in files"),
    VALUE('w', "FILE", "write the packets that were not processed as TCP to FILE (pcap)"),
    VALUE('X', "FILE", "write the DFXML report to FILE (default DIR/report.xml; with -c and -C none)"),
    GROUP("Console"),
    FLAG('c', "print packets to standard output as they come, and write no files"),
    FLAG('C', "the same without the line that names the flow"),
    FLAG('B', "do not strip on the console"),
    FLAG('D', "print in hexadecimal"),
    FLAG('J', "print JSON, an object a packet (with -c or -C)"),
    FLAG('g', "print in colors: blue from the client, red from the server"),
    FLAG('0', "print no newline after packets"),
    VALUE('L', "NAME", "hold the named semaphore while printing, so that several programs can share an output"),
    GROUP("Scanners"),
    FLAG('a', "all scanners"),
    VALUE('e', "NAME", "switch a scanner on: http, md5, netviz, tcpdemux, wifiviz, python, or all"),
    VALUE('E', "NAME", "switch all others off"),
    VALUE('x', "NAME", "switch a scanner off"),
    VALUE('S', "NAME=VALUE", "a setting; -hh lists them"),
    FLAG('Z', "do not decompress HTTP bodies"),
    GROUP("Security"),
    {"relinquish-privileges", 'U', WS_OPT_STRING, "USER", 1, 0, "become USER once the first input is open"},
    {"chroot", OPT_CHROOT, WS_OPT_STRING, "DIR", 1, 0, "chroot to DIR (needs -U)"},
    GROUP("Messages"),
    VALUE('d', "N", "debug level: 0 silent, 1 default, 10 verbose"),
    {"verbose", 'v', WS_OPT_FLAG, NULL, 1, 0, "the same as -d 10"},
    FLAG('q', "no warning about many files in a directory"),
    {"help", 'h', WS_OPT_FLAG, NULL, 1, 0, "this text; -hh: with settings and name letters"},
    FLAG('H', "what each scanner does"),
    {"version", OPT_VERSION, WS_OPT_FLAG, NULL, 1, 0, "version"},
    FLAG('P', "accepted: closed connections are always kept for late packets while there is room"),
    VALUE('A', "X", "refused, as it is deprecated: -a"),
    {NULL, 0, WS_OPT_FLAG, NULL, 0, 0, NULL},
};

const char *const tcpflow_scanners[SCANNERS] = {
    [SCAN_HTTP] = "http",     [SCAN_MD5] = "md5",           [SCAN_NETVIZ] = "netviz",
    [SCAN_PYTHON] = "python", [SCAN_TCPDEMUX] = "tcpdemux", [SCAN_WIFIVIZ] = "wifiviz",
};

const struct tcpflow_setting tcpflow_settings[] = {
    {"enable_report", "YES", "write the DFXML report"},
    {"dfxml", "tcpflow", "layout of the report: tcpflow, or strict, which validates against the schema (ours)"},
    {"tdelta", "0", "seconds added to all packet times"},
    {"packet-buffer-timeout", "10", "accepted; packets are taken as they come"},
    {"tcp_timeout", "0", "seconds of silence after which a flow ends; 0: none"},
    {"tcp_cmd", "", "command for each finished file, which gets its path; at most 10 at once"},
    {"tcp_alert_fd", "-1", "descriptor told of files: open<TAB>path, close<TAB>path"},
    {"http_cmd", "", "the same for HTTP bodies"},
    {"http_alert_fd", "-1", "the same for HTTP bodies"},
    {"http_names", "new", "names of HTTP parts: new, or old (-HTTP, -HTTPBODY, -HTTPBODY-GZIP) (ours)"},
    {"netviz_histogram_dump", "0", "1: print the addresses and ports with most bytes"},
    {"netviz_histogram_size", "65536", "addresses told apart exactly"},
    {"py_path", "", "python scanner: folder of the module"},
    {"py_module", "", "python scanner: module"},
    {"py_function", "", "python scanner: function of one string"},
    {"check_fcs", "YES", "wifiviz: leave out frames with a wrong check sequence"},
    {NULL, NULL, NULL},
};

static int add_file(struct tcpflow_files *f, const char *path)
{
    if (f->n == f->room) {
        size_t room = f->room ? 2 * f->room : 64;
        const char **item = realloc(f->item, room * sizeof(*item));
        if (!item)
            return -ENOMEM;
        f->item = item;
        f->room = room;
    }
    f->item[f->n++] = path;
    return 0;
}

/* Lines for err: always -EINVAL. */
__attribute__((format(printf, 3, 4))) static int refuse(char *err, size_t len, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(err, len, format, ap);
    va_end(ap);
    return -EINVAL;
}

static int take_number(const char *value, char letter, const char *hint, uint64_t *n, char *err, size_t len)
{
    if (ws_parse_size(value, n) < 0)
        return refuse(err, len, "-%c: '%s' is not a number%s", letter, value, hint);
    return 0;
}

/* Puts text before the template, as each letter of -F does. */
static int prepend(struct tcpflow_args *a, const char *text, char *err, size_t len)
{
    size_t n = strlen(text), m = strlen(a->name_template);
    if (n + m >= sizeof(a->name_template))
        return refuse(err, len, "-F: the name template is too long");
    memmove(a->name_template + n, a->name_template, m + 1);
    memcpy(a->name_template, text, n);
    return 0;
}

/* -Fc: the counter on every name, so in the place of the one that only repeated names have. */
static int count_all(struct tcpflow_args *a, char *err, size_t len)
{
    static const char all[] = "c%#", repeated[] = "%C%c";
    char *at = strstr(a->name_template, repeated);
    size_t n = strlen(a->name_template);
    if (strstr(a->name_template, all))
        return 0;
    if (at) {
        memcpy(at, all, sizeof(all) - 1);
        memmove(at + sizeof(all) - 1, at + sizeof(repeated) - 1, strlen(at + sizeof(repeated) - 1) + 1);
        return 0;
    }
    if (n + sizeof(all) > sizeof(a->name_template))
        return refuse(err, len, "-F: the name template is too long");
    memcpy(a->name_template + n, all, sizeof(all));
    return 0;
}

static int take_letters(struct tcpflow_args *a, const char *letters, char *err, size_t len)
{
    int rc = 0;
    if (strchr(letters, '%'))
        return refuse(err, len, "-F takes letters (c t T X M k m g), not a template: write -T '%s'", letters);
    for (const char *c = letters; *c && !rc; c++) {
        switch (*c) {
        case 'c':
            rc = count_all(a, err, len);
            break;
        case 't':
            rc = prepend(a, "%tT", err, len);
            break;
        case 'T':
            rc = prepend(a, "%T", err, len);
            break;
        case 'k':
            rc = prepend(a, "%K/", err, len);
            break;
        case 'm':
            rc = prepend(a, "%M000-%M999/%M%K/", err, len);
            break;
        case 'g':
            rc = prepend(a, "%G000000-%G999999/%G%M000-%G%M999/%G%M%K/", err, len);
            break;
        case 'X':
            a->no_files = true;
            break;
        case 'M':
            a->md5 = true;
            break;
        default:
            rc = refuse(err, len, "-F: '%c' is none of its letters: c t T X M k m g", *c);
        }
    }
    return rc;
}

static int take_template(struct tcpflow_args *a, const char *text, char *err, size_t len)
{
    size_t n = strlen(text);
    if (*text == '-')
        return refuse(err, len,
                      "-T needs a template, and '%s' looks like the next option: for the default names leave -T out", text);
    for (; *text == '/'; n--) /* below the directory in any case */
        text++;
    if (n >= sizeof(a->name_template))
        return refuse(err, len, "-T: longer than %u bytes", WS_NAME_TEMPLATE_MAX - 1);
    memcpy(a->name_template, text, n + 1);
    if (!strstr(text, "%c") && n + sizeof("%C%c") <= sizeof(a->name_template))
        memcpy(a->name_template + n, "%C%c", sizeof("%C%c")); /* also behind %# */
    struct ws_name name;
    char why[256];
    if (ws_name_compile(&name, text, NULL, why, sizeof(why)) < 0)
        return refuse(err, len, "-T: %s", why);
    return 0;
}

static int take_scanner(struct tcpflow_args *a, char letter, const char *name, char *err, size_t len)
{
    bool all = strcmp(name, "all") == 0;
    int found = -1;
    if (strncmp(name, "scan_", 5) == 0)
        name += 5;
    for (int i = 0; i < SCANNERS; i++)
        if (strcmp(name, tcpflow_scanners[i]) == 0)
            found = i;
    if (found < 0 && !all)
        return refuse(err, len, "-%c: there is no scanner '%s': http, md5, netviz, python, tcpdemux, wifiviz%s", letter,
                      name, letter == 'E' ? "" : ", or all");
    bool on = letter != 'x';
    if (all)
        a->python_if_set = on;
    for (int i = 0; i < SCANNERS; i++) {
        if (i == found || (all && (i != SCAN_PYTHON || !on)))
            a->scan[i] = on;
        else if (letter == 'E')
            a->scan[i] = false;
    }
    return 0;
}

static bool is_yes(const char *value)
{
    return *value && strchr("YyTt1", *value) != NULL;
}

static int take_setting(struct tcpflow_args *a, const char *text, char *err, size_t len)
{
    const struct {
        const char *name, **value;
    } texts[] = {
        {"tdelta", &a->tdelta},
        {"http_cmd", &a->http_cmd},
        {"tcp_cmd", &a->tcp_cmd},
        {"http_alert_fd", &a->http_alert_fd},
        {"tcp_alert_fd", &a->tcp_alert_fd},
        {"py_path", &a->py_path},
        {"py_module", &a->py_module},
        {"py_function", &a->py_function},
        {"netviz_histogram_dump", &a->netviz_histogram_dump},
        {"netviz_histogram_size", &a->netviz_histogram_size},
    };
    int64_t ns;
    const char *eq = strchr(text, '=');
    size_t n = eq ? (size_t)(eq - text) : 0;
    if (!eq)
        return refuse(err, len, "-S: '%s' is not of the form NAME=VALUE", text);
    const char *value = eq + 1;
    for (size_t i = 0; i < WS_ARRAY_SIZE(texts); i++)
        if (strlen(texts[i].name) == n && memcmp(texts[i].name, text, n) == 0) {
            *texts[i].value = value;
            if (texts[i].value == &a->tdelta && ws_parse_duration(value + (*value == '-' || *value == '+'), &ns) < 0)
                return refuse(err, len, "-S tdelta: '%s' is not a time in seconds", value);
            return 0;
        }
#define IS(word) (n == sizeof(word) - 1 && memcmp(text, word, n) == 0)
    if (IS("enable_report")) {
        a->enable_report = is_yes(value);
    } else if (IS("dfxml") && (strcmp(value, "strict") == 0 || strcmp(value, "tcpflow") == 0)) {
        a->dfxml_strict = *value == 's';
    } else if (IS("http_names") && (strcmp(value, "old") == 0 || strcmp(value, "new") == 0)) {
        a->http_old_names = *value == 'o';
    } else if (IS("tcp_timeout")) {
        if (strcmp(value, "0") != 0 && ws_parse_duration(value, &a->tcp_timeout_ns) < 0)
            return refuse(err, len, "-S tcp_timeout: '%s' is not a time in seconds", value);
        if (strcmp(value, "0") == 0)
            a->tcp_timeout_ns = 0;
    } else if (IS("check_fcs")) {
        a->any_fcs = !is_yes(value);
    } else if (!IS("packet-buffer-timeout")) {
        return refuse(err, len, "-S %s: no such setting or value; -hh lists them", text);
    }
#undef IS
    return 0;
}

/* A file's name that begins with a dash is a forgotten value and the next option. */
static int take_name(const char **to, char letter, const char *value, char *err, size_t len)
{
    if (value[0] == '-' && value[1] && letter == 'R')
        return refuse(err, len,
                      "-R needs a file: it reads FILE to complete flows that are open. Nothing needs to switch off a check "
                      "for duplicates");
    if (value[0] == '-' && value[1])
        return refuse(err, len, "-%c needs a value, and '%s' looks like the next option (write ./%s if it is a name)",
                      letter, value, value);
    if (!*value)
        return refuse(err, len, "-%c: the value is empty", letter);
    *to = value;
    return 0;
}

static int take_flag(struct tcpflow_args *a, char letter)
{
    switch (letter) {
    case 'a':
        for (int i = 0; i < SCANNERS; i++)
            if (i != SCAN_PYTHON)
                a->scan[i] = true;
        a->python_if_set = true;
        break;
    case 'l': a->list_files = true; break;
    case 'p': a->no_promiscuous = true; break;
    case 'I': a->findx = true; break;
    case 'K': a->pcap = true; break;
    case 's': a->strip = true; break;
    case 'c': a->console = true; break;
    case 'C': a->console = a->no_headers = true; break;
    case 'B': a->binary = true; break;
    case 'D': a->hex = true; break;
    case 'J': a->json = true; break;
    case 'g': a->color = true; break;
    case '0': a->no_newline = true; break;
    case 'Z': a->no_inflate = true; break;
    case 'v': a->debug = 10; break;
    case 'q': a->quiet = true; break;
    case 'h': a->help++; break;
    case 'H': a->show_scanners = true; break;
    case 'V': a->version = true; break;
    default: break; /* -P */
    }
    return 0;
}

static int take(void *user, const struct ws_opt *o, const char *value, char *err, size_t len)
{
    struct tcpflow_args *a = user;
    const char *name = NULL;
    int rc;
    switch (o->letter) {
    case 'r':
    case 'R':
        if ((rc = take_name(&name, o->letter, value, err, len)))
            return rc;
        if (add_file(o->letter == 'r' ? &a->read : &a->more, name) < 0)
            return refuse(err, len, "out of memory");
        return 0;
    case 'i':
        return take_name(&a->iface, 'i', value, err, len);
    case 'o':
        return take_name(&a->outdir, 'o', value, err, len);
    case 'w':
        return take_name(&a->rest, 'w', value, err, len);
    case 'X':
        return take_name(&a->report, 'X', value, err, len);
    case 'L':
        return take_name(&a->lock, 'L', value, err, len);
    case 'U':
        return take_name(&a->user, 'U', value, err, len);
    case OPT_CHROOT:
        return take_name(&a->chroot, 'z', value, err, len);
    case 'F':
        return take_letters(a, value, err, len);
    case 'T':
        return take_template(a, value, err, len);
    case 'b':
        return take_number(value, 'b', "", &a->bytes_max, err, len);
    case 'm':
        return take_number(value, 'm', strcmp(value, "d5") == 0 ? ": for MD5 sums in the report write -FM or -e md5" : "",
                           &a->skip_max, err, len);
    case 'f':
        rc = take_number(value, 'f', "", &a->open_files, err, len);
        return rc ? rc : a->open_files ? 0 : refuse(err, len, "-f: at least one file must be open");
    case 'd':
        return take_number(value, 'd', "", &a->debug, err, len);
    case 'e':
    case 'E':
    case 'x':
        return take_scanner(a, o->letter, value, err, len);
    case 'S':
        return take_setting(a, value, err, len);
    case 'A':
        return refuse(err, len, "-A is gone: -a switches all scanners on");
    default:
        return take_flag(a, o->letter);
    }
}

/* -l: a word that is no file but a pattern stands for the files that it matches. */
static int add_pattern(struct tcpflow_args *a, const char *word)
{
    int flags = GLOB_NOCHECK | (a->globs ? GLOB_APPEND : 0);
    glob_t *g = a->globs;
    if (access(word, F_OK) == 0 || !strpbrk(word, "*?["))
        return add_file(&a->read, word);
    if (!g && !(g = a->globs = calloc(1, sizeof(*g))))
        return -ENOMEM;
    size_t before = g->gl_pathc;
    if (glob(word, flags, NULL, g) != 0)
        return add_file(&a->read, word);
    for (size_t i = before; i < g->gl_pathc; i++)
        if (add_file(&a->read, g->gl_pathv[i]) < 0)
            return -ENOMEM;
    return 0;
}

static int take_words(struct tcpflow_args *a, int n, char **word, char *err, size_t len)
{
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        if (a->list_files) {
            if (add_pattern(a, word[i]) < 0)
                return refuse(err, len, "out of memory");
            continue;
        }
        int w = snprintf(a->words + at, sizeof(a->words) - at, "%s%s", i ? " " : "", word[i]);
        if (w < 0 || (size_t)w >= sizeof(a->words) - at)
            return refuse(err, len, "the filter expression is longer than %zu bytes", sizeof(a->words) - 1);
        at += (size_t)w;
    }
    return 0;
}

/* What cannot go together. */
static int check(const struct tcpflow_args *a, char *err, size_t len)
{
    if (a->iface && (a->read.n || a->more.n))
        return refuse(err, len, "-i captures, -r and -R read files: give one of them");
    if (a->list_files && !a->read.n && !a->more.n)
        return refuse(err, len, "-l: no files follow");
    if (a->chroot && !a->user)
        return refuse(err, len, "-z needs -U: a root user can leave a chroot");
    if (a->json && !a->console)
        return refuse(err, len, "-J prints to the console: add -c or -C");
    if (a->scan[SCAN_PYTHON] && (!a->py_path || !a->py_module || !a->py_function))
        return refuse(err, len, "-e python needs -S py_path=, -S py_module= and -S py_function=");
    return 0;
}

int tcpflow_args_parse(struct tcpflow_args *a, int argc, char **argv)
{
    char err[600];
    int rest;

    memset(a, 0, sizeof(*a));
    memcpy(a->name_template, WS_NAME_DEFAULT, sizeof(WS_NAME_DEFAULT));
    a->bytes_max = UINT64_MAX;
    a->skip_max = 16777216;
    a->debug = 1;
    a->scan[SCAN_TCPDEMUX] = true;
    a->enable_report = true;
    int rc = ws_opts_getopt(tcpflow_options, 1, argc, argv, take, a, &rest, err, sizeof(err));
    if (!rc && !a->help && !a->version && !a->show_scanners &&
        !(rc = take_words(a, argc - rest, argv + rest, err, sizeof(err)))) {
        a->scan[SCAN_PYTHON] |= a->python_if_set && a->py_module;
        rc = check(a, err, sizeof(err));
    }
    if (!rc)
        return 0;
    fprintf(stderr, "tcpflow: %s\n", err);
    tcpflow_args_free(a);
    return 2;
}

void tcpflow_args_free(struct tcpflow_args *a)
{
    free(a->read.item);
    free(a->more.item);
    if (a->globs)
        globfree(a->globs);
    free(a->globs);
    a->globs = NULL;
    a->read = a->more = (struct tcpflow_files){NULL, 0, 0};
}

void tcpflow_args_explain_filter(const struct tcpflow_args *a)
{
    const char *word = a->words;
    if (!isdigit((unsigned char)*word))
        return;
    fprintf(stderr, "tcpflow: words that belong to no option are a filter expression, and '%s' begins it:\n", word);
    if (a->console)
        fputs("tcpflow: -c and -C print to the console and take no value; -b N keeps N bytes of each flow\n", stderr);
    if (a->strip)
        fputs("tcpflow: -s strips what is not printable and takes no value; packets are always taken whole\n", stderr);
}
