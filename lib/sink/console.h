/* SPDX-License-Identifier: BSD-3-Clause */
/* The sink that prints payloads, a packet at a time, to one merged output. */
#ifndef WS_SINK_CONSOLE_H
#define WS_SINK_CONSOLE_H

#include "format/console.h"
#include "format/name.h"
#include "sink/sink.h"

struct ws_sink_console_config {
    struct ws_channel *channel; /* of a MERGED output; borrowed */
    struct ws_console_style style;
    const char *prefix; /* before names; borrowed; NULL = none */
    const char
        *name_template; /* NULL = WS_NAME_DEFAULT; the counter is always that of a first file */
    struct ws_name_options name;
    bool number_from_zero; /* %N counts from 0, as tcpflow, else it is the FlowID */
    bool ordered;          /* delivered bytes instead of segments as they come */
    bool cut;              /* print at most bytes_max bytes of a direction */
    uint64_t bytes_max;
};

/* Makes the sink. 0, -EINVAL with a line in err (template, prefix), or -ENOMEM. */
int ws_sink_console_create(struct ws_sink **s, const struct ws_sink_console_config *cfg, char *err,
                           size_t err_len);

#endif
