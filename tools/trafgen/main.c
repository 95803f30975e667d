/* SPDX-License-Identifier: BSD-3-Clause */
/* ws-trafgen: large captures with known truth. The main loop mixes live connections packet by
 * packet. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

#define START_NS UINT64_C(1700000000000000000) /* 2023-11-14 22:13:20 UTC */
#define TURN_MAX 8u                            /* packets of one connection in a row */

static bool limit_reached(const struct tg *tg)
{
    const struct tg_config *config = &tg->config;
    return tg->error != 0 || (config->bytes_max != 0 && tg->out.bytes >= config->bytes_max) ||
           (config->packets_max != 0 && tg->out.packets >= config->packets_max);
}

static int open_connections(struct tg *tg)
{
    while (tg->live_count < tg->config.concurrency && tg->opened < tg->config.connections) {
        struct tg_connection *c = malloc(sizeof(*c));
        if (c == NULL)
            return -ENOMEM;
        tg_flow_open(tg, c);
        tg->live[tg->live_count++] = c;
    }
    return 0;
}

static void close_connection(struct tg *tg, uint32_t slot)
{
    struct tg_connection *c = tg->live[slot];
    tg_flow_close(tg, c);
    free(c);
    tg->live[slot] = tg->live[--tg->live_count];
}

static bool attack_left(const struct tg *tg)
{
    return tg->config.attack != TG_ATTACK_NONE &&
           tg->counts.attack_packets < tg->config.attack_packets;
}

static int run(struct tg *tg)
{
    double attack_due = 0;
    while (!limit_reached(tg)) {
        int error = open_connections(tg);
        if (error != 0)
            return error;
        if (tg->live_count == 0)
            break;
        uint32_t slot = (uint32_t)tg_rng_below(&tg->rng, tg->live_count);
        uint64_t turn = tg_rng_range(&tg->rng, 1, TURN_MAX);
        for (uint64_t i = 0; i < turn; i++) {
            if (!tg_flow_step(tg, tg->live[slot])) {
                close_connection(tg, slot);
                break;
            }
            for (attack_due += tg->config.attack_ratio; attack_due >= 1; attack_due -= 1)
                if (attack_left(tg))
                    tg_attack_step(tg);
        }
    }
    while (!limit_reached(tg) && attack_left(tg))
        tg_attack_step(tg);
    while (tg->live_count != 0) /* cut by a limit */
        close_connection(tg, 0);
    return tg->error;
}

int main(int argc, char **argv)
{
    struct tg *tg = calloc(1, sizeof(*tg));
    if (tg == NULL)
        return 3;
    int parsed = tg_config_parse(&tg->config, argc, argv);
    if (parsed != 0) {
        free(tg);
        return parsed > 0 ? 0 : 2;
    }
    const struct tg_config *config = &tg->config;
    tg_rng_init(&tg->rng, config->seed);
    tg_rng_init(&tg->attack_rng, ~config->seed);
    tg->now_ns = START_NS;
    tg->live = calloc(config->concurrency, sizeof(struct tg_connection *));
    if (config->truth_path != NULL)
        tg->truth = tg_truth_create();

    const char *path = config->out_path;
    int error = tg->live == NULL || (config->truth_path != NULL && tg->truth == NULL) ? -ENOMEM : 0;
    if (error == 0) {
        struct tg_out_config out = {.path = path,
                                    .ns = config->ns,
                                    .big_endian = config->big_endian,
                                    .snaplen = config->snaplen};
        error = tg_out_open(&tg->out, &out);
        if (error == 0) {
            error = run(tg);
            int closed = tg_out_close(&tg->out);
            if (error == 0)
                error = closed;
        }
    }
    if (error == 0 && tg->truth != NULL) {
        path = config->truth_path;
        error = tg_truth_write(tg, path);
    }
    if (error != 0)
        fprintf(stderr, "ws-trafgen: %s: %s\n", path, strerror(-error));
    else
        fprintf(stderr, "ws-trafgen: %llu packets, %llu bytes, %llu connections, seed %llu\n",
                (unsigned long long)tg->out.packets, (unsigned long long)tg->out.bytes,
                (unsigned long long)tg->counts.connections, (unsigned long long)config->seed);
    tg_truth_destroy(tg->truth);
    free(tg->live);
    free(tg);
    return error != 0 ? 3 : 0;
}
