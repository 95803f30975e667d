/* SPDX-License-Identifier: BSD-3-Clause */
/* Adversarial sequences of TCP segments on one tuple, from a seed. */
#ifndef WS_TESTS_MODEL_TCP_GEN_H
#define WS_TESTS_MODEL_TCP_GEN_H

#include "rng.h"
#include "tcp_model.h"

/* What an engine as a whole cannot be shown: filtered payload and cut payload need their own
 * captures. */
struct tcp_gen_options {
    bool no_cuts;  /* no snap length, no filter */
    bool no_times; /* midstream waits end by bytes and ACKs only */
};

void tcp_generate(struct rng *rng, const struct tcp_gen_options *o, struct model_input *in);

#endif
