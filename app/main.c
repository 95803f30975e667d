/* SPDX-License-Identifier: BSD-3-Clause */
/* Dispatch by subcommand, or by the name of the program. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/frontends.h"
#include "app/manual.h"
#include "base/log.h"
#include "source/live.h"
#include "ws_config.h"

static int (*command_function(enum command cmd))(struct options *)
{
    switch (cmd) {
    case CMD_FLOWS:
        return cmd_flows;
    case CMD_EXTRACT:
        return cmd_extract;
    case CMD_STREAMS:
        return cmd_streams;
    case CMD_CAPTURE:
        return cmd_capture;
    case CMD_REPLAY:
        return cmd_replay;
    case CMD_REPAIR:
        return cmd_repair;
    default:
        return NULL;
    }
}

static void print_usage(FILE *out)
{
    fputs("usage: wirespool COMMAND [options] ...\n\ncommands:\n", out);
    for (const struct command_info *c = commands; c->name; c++)
        fprintf(out, "  %-10s %s\n", c->name, c->summary);
    if (front_ends[0].name)
        fputs("\nother tools' command lines (each --help shows its own):\n", out);
    for (const struct front_end *f = front_ends; f->name; f++)
        fprintf(out, "  %-10s %s\n", f->name, f->summary);
    fputs("\n  --list-interfaces   interfaces for capture -i\n"
          "  --version           version and what was built in\n"
          "  --man [NAME]        the man page, or a front-end's\n"
          "  --completion bash   completion for the shell\n"
          "\nwirespool COMMAND --help shows its options.\n",
          out);
}

static void print_version(void)
{
    printf("wirespool %s (DPDK: %s, io_uring: %s)\n", WS_VERSION, WS_HAVE_DPDK ? "yes" : "no",
           WS_HAVE_URING ? "yes" : "no");
}

static void print_help(const struct command_info *c)
{
    printf("usage: wirespool %s\n\n%s\n", c->usage, c->summary);
    ws_opts_help(stdout, options_table, (uint32_t)c->cmd);
    printf("\nSizes and times: 64K, 1e6, 1G, 5m. %s", manual_exit_codes);
}

static int run_command(const struct command_info *c, int argc, char **argv)
{
    struct options o;
    int code = options_parse(&o, c->cmd, c->name, argc, argv);
    if (code == 0 && o.help) {
        print_help(c);
    } else if (code == 0) {
        if (o.verbose)
            ws_log_level = WS_LOG_DEBUG;
        else if (o.quiet)
            ws_log_level = WS_LOG_WARN;
        code = command_function(c->cmd)(&o);
    }
    options_free(&o);
    return code;
}

/* Started with a standard stream closed, the next file opened would take its number, and messages would land in an
 * output. The place is filled with what refuses the stream's use, as a closed one does. */
static void fill_standard_streams(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

/* What was printed must have arrived, whichever command printed it. */
static int finish_stdout(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "wirespool: standard output: %s\n", strerror(errno));
    return code ? code : 3;
}

static int dispatch(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";
    const struct front_end *f = front_end_of_program(argc ? argv[0] : "");

    if (f)
        return f->run(argc, argv);

    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        print_version();
        return 0;
    }
    if (strcmp(word, "--list-interfaces") == 0)
        return ws_live_list() < 0 ? 3 : 0;
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_usage(stdout);
        return 0;
    }
    if (strcmp(word, "--man") == 0)
        return manual_print(argc > 2 ? argv[2] : NULL);
    if (strcmp(word, "--completion") == 0)
        return manual_completion(argc > 2 ? argv[2] : NULL);
    for (const struct command_info *c = commands; c->name; c++)
        if (strcmp(word, c->name) == 0)
            return run_command(c, argc - 1, argv + 1);
    if ((f = front_end_find(word)))
        return f->run(argc - 1, argv + 1);
    if (*word)
        fprintf(stderr, "wirespool: unknown command '%s' (see wirespool --help)\n", word);
    else
        print_usage(stderr);
    return 2;
}

int main(int argc, char **argv)
{
    fill_standard_streams();
    signal(SIGXFSZ, SIG_IGN); /* a file beyond the limit of the process: likewise */
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is a write error: said, counted, and the exit code tells */
    return finish_stdout(dispatch(argc, argv));
}
