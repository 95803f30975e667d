/* SPDX-License-Identifier: BSD-3-Clause */
/* From options to the engine's configuration: decode, flows, reassembly, selection, filter. */
#ifndef WS_APP_PLAN_H
#define WS_APP_PLAN_H

#include "app/options.h"
#include "engine/engine.h"

/* Fills everything of cfg that comes from options alone (no sources, sinks, writers, runtime). The filter
 * is made (heap; plan_free()). 0, or an exit code with the message printed. */
int plan_engine(struct ws_engine_config *cfg, const struct options *o, enum command cmd);
void plan_free(struct ws_engine_config *cfg);

/* Parses --flow values to numbers; n at most max. 0 or exit code 2 with the message printed. */
int plan_flow_ids(const struct options *o, uint64_t *id, unsigned *n, unsigned max);

/* Writer configuration of the options. 0 or exit code 2. */
int plan_writer(struct ws_writer_config *w, const struct options *o);

#endif
