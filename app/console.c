/* SPDX-License-Identifier: BSD-3-Clause */
/* The console output of a run. */
#include "app/console.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sink/console.h"

static const char *path_of(const struct options *o)
{
    return o->console_out ? o->console_out : "-";
}

bool console_ordered(const struct options *o)
{
    return o->console >= 0 && o->order == ORDER_STREAM;
}

bool console_only(const struct options *o, enum command cmd)
{
    return o->console >= 0 && !(cmd == CMD_STREAMS ? o->out : o->streams);
}

static int usage(const struct run *r, const char *text)
{
    fprintf(stderr, "wirespool %s: %s\n", r->name, text);
    return 2;
}

static bool is_stdout(const char *path)
{
    return path && strcmp(path, "-") == 0;
}

int console_count(struct run *r)
{
    const struct options *o = r->o;
    if (o->console < 0) {
        if (o->console_out || o->console_prefix || o->no_header || o->no_newline || o->binary ||
            o->color || o->lock)
            return usage(r, "--console-out, --console-prefix, --no-header, --no-newline, --binary, --color and --lock "
                            "go with --console");
        return 0;
    }
    if (!*path_of(o) || (o->lock && !*o->lock))
        return usage(r, "--console-out and --lock need a name");
    const char *const other[] = {o->rest, o->report, r->cmd == CMD_STREAMS ? o->out : NULL,
                                 r->cmd & CMD_LIVE ? o->streams : NULL,
                                 r->cmd & CMD_LIVE ? o->pcap : NULL,
                                 r->cmd & CMD_LIVE ? o->flows_out : NULL};
    for (size_t i = 0; is_stdout(path_of(o)) && i < WS_ARRAY_SIZE(other); i++)
        if (is_stdout(other[i]))
            return usage(r, "two outputs cannot share standard output");
    if (is_stdout(path_of(o)) && o->json && r->cmd == CMD_STREAMS)
        return usage(r, "--json and --console cannot share standard output: --console-out FILE");
    struct ws_name name;
    const struct ws_name_options opt = {.colon = o->no_colon ? '_' : 0, .no_counter = true};
    char err[256], line[400];
    if (o->template && ws_name_compile(&name, o->template, &opt, err, sizeof(err)) < 0) {
        snprintf(line, sizeof(line), "--template: %s", err);
        return usage(r, line);
    }
    if (o->console_prefix && strlen(o->console_prefix) > WS_CONSOLE_NAME_MAX)
        return usage(r, "--console-prefix: too long");
    r->out.n_output++;
    return 0;
}

int console_prepare(struct run *r)
{
    struct ws_output_config oc = {
        .kind = WS_OUTPUT_MERGED,
        .path = path_of(r->o),
        .lock = r->o->lock,
        .not_packets = true,
    };
    return r->o->console < 0 ? 0 : outputs_add(r, &oc, &r->out.console);
}

int console_make_sink(struct run *r, unsigned worker, struct ws_sink **s)
{
    static const enum ws_console_kind kinds[] = {WS_CONSOLE_TEXT, WS_CONSOLE_HEX, WS_CONSOLE_JSON};
    const struct options *o = r->o;
    char err[256];
    struct ws_sink_console_config cc = {
        .channel = ws_output_channel(r->out.console, worker),
        .style = {.kind = kinds[o->console],
                  .header = !o->no_header,
                  .newline = !o->no_newline,
                  .binary = o->binary,
                  .color = o->color},
        .prefix = o->console_prefix,
        .name_template = o->template,
        .name = {.colon = o->no_colon ? '_' : 0},
        .number_from_zero = o->number_from_zero,
        .ordered = console_ordered(o),
        .cut = o->stream_max != WS_UNSET,
        .bytes_max = o->stream_max,
    };
    int rc = ws_sink_console_create(s, &cc, err, sizeof(err));
    if (rc == -EINVAL)
        fprintf(stderr, "wirespool %s: --console: %s\n", r->name, err);
    return rc;
}
