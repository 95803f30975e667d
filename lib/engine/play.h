/* SPDX-License-Identifier: BSD-3-Clause */
/* Plays a stream archive to sinks, as if its flows were met in packets. */
#ifndef WS_ENGINE_PLAY_H
#define WS_ENGINE_PLAY_H

#include "engine/engine.h"
#include "source/archive.h"

struct ws_play_config {
    struct ws_archive *archive; /* borrowed */
    const uint8_t *dirs; /* a byte a flow: the directions that are wanted (bit d); borrowed */
    bool udp, all_ip, tcp_off; /* whose payload is given, as in struct ws_engine_config */
};

struct ws_play;

/* Makes it; main thread. 0 or -ENOMEM. */
int ws_play_create(struct ws_play **p, const struct ws_play_config *cfg);
/* ws_engine_config.feed, user is the struct ws_play. */
bool ws_play_feed(void *user, struct ws_engine_feed *f);
/* Bytes of streams that the archive should have and lacks. After the run. */
uint64_t ws_play_missing(const struct ws_play *p);
/* Bytes, or those of gaps, that it has where others of their stream came before, and that were left out. After the run. */
uint64_t ws_play_twice(const struct ws_play *p);
void ws_play_destroy(struct ws_play *p);

#endif
