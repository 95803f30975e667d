/* SPDX-License-Identifier: BSD-3-Clause */
/* Segments into the capture: time goes on, ordinals are given, truth is kept. */
#include "model.h"

#include "payload.h"

static void advance_clock(struct tg *tg)
{
    /* Half to one and a half of the spacing: stamps of a busy link are not evenly spaced. */
    uint32_t spacing = tg->config.spacing_ns;
    tg->now_ns += spacing / 2 + tg_rng_below(&tg->rng, (uint64_t)spacing + 1);
}

static bool put_fragments(struct tg *tg, const struct tg_connection *c, const struct tg_segment *s,
                          uint64_t key, uint64_t *frames)
{
    struct tg_fragmenter f;
    tg_fragmenter_init(&f, tg->scratch, &c->tuple, &c->wrap, s, key);
    *frames = 0;
    for (;;) {
        uint8_t *p = tg_out_reserve(&tg->out, &tg->error);
        if (p == NULL)
            return false;
        size_t n = tg_fragmenter_next(&f, p);
        if (n == 0)
            return true;
        tg_out_commit(&tg->out, n, tg->now_ns);
        advance_clock(tg);
        ++*frames;
    }
}

void tg_emit_segment(struct tg *tg, struct tg_connection *c, const struct tg_segment *s)
{
    struct tg_direction *d = &c->dir[s->direction];
    uint64_t ordinal = tg->out.packets;
    uint64_t frames = 1;
    if (s->fragmenting != TG_WHOLE) {
        if (!put_fragments(tg, c, s, d->key, &frames))
            return;
        if (s->fragment_missing) {
            tg->counts.orphan_fragments += frames;
            return;
        }
        tg->counts.fragmented++;
        tg->counts.fragments += frames;
    } else {
        uint8_t *p = tg_out_reserve(&tg->out, &tg->error);
        if (p == NULL)
            return;
        size_t n = tg_build_frame(p, &c->tuple, &c->wrap, s, d->key);
        tg_out_commit(&tg->out, n, tg->now_ns);
        advance_clock(tg);
    }

    if (d->packets == 0)
        d->first_ordinal = ordinal;
    d->packets += frames;
    tg->counts.payload_bytes += s->kept;
    if (c->wrap.tunnel != TG_TUNNEL_NONE)
        tg->counts.tunnelled_packets += frames;
    if (c->tuple.protocol == 17) {
        if (tg->truth != NULL) {
            tg_payload_fill(d->key, s->off, tg->scratch, s->kept);
            tg_truth_udp(d, tg->scratch, s->kept);
        }
        return;
    }
    if (s->garbage)
        return;
    uint64_t end = s->off + s->len;
    if ((s->len != 0 || (s->flags & TG_TCP_FIN) != 0) && end > d->captured_end)
        d->captured_end = end;
    if (s->kept != 0)
        d->shown[d->shown_count++ % TG_RECENT] = (struct tg_range){s->off, s->off + s->kept};
}

void tg_emit_foreign(struct tg *tg, const struct tg_tuple *tuple, const struct tg_segment *s,
                     uint64_t key)
{
    static const struct tg_wrap plain;
    uint8_t *p = tg_out_reserve(&tg->out, &tg->error);
    if (p == NULL)
        return;
    tg_out_commit(&tg->out, tg_build_frame(p, tuple, &plain, s, key), tg->now_ns);
    advance_clock(tg);
    tg->counts.attack_packets++;
}

void tg_emit_raw_fragment(struct tg *tg, const struct tg_raw_fragment *f, uint64_t key)
{
    uint8_t *p = tg_out_reserve(&tg->out, &tg->error);
    if (p == NULL)
        return;
    tg_out_commit(&tg->out, tg_build_raw_fragment(p, f, key), tg->now_ns);
    advance_clock(tg);
    tg->counts.attack_packets++;
}
