/* SPDX-License-Identifier: BSD-3-Clause */
/* The native commands: each takes parsed options and returns an exit code. */
#ifndef WS_APP_COMMANDS_H
#define WS_APP_COMMANDS_H

#include "app/options.h"

int cmd_flows(struct options *o);
int cmd_extract(struct options *o);
int cmd_streams(struct options *o);
int cmd_capture(struct options *o);
int cmd_replay(struct options *o);
int cmd_repair(struct options *o);

#endif
