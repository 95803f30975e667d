/* SPDX-License-Identifier: BSD-3-Clause */
/* Loss, reordering, duplication and fragmentation between the model of a flow and the capture. */
#include <string.h>

#include "model.h"

#define MTU 1500u

static void choose_fragments(struct tg *tg, const struct tg_connection *c, struct tg_segment *s)
{
    static const uint16_t sizes[] = {64, 248, 512, 1024, 1480};
    size_t packet = tg_build_header_bytes(&c->tuple, &c->wrap, s) + s->len;
    bool too_big = c->tuple.protocol == 17 && packet > MTU;
    if (s->len == 0 || (!too_big && !tg_rng_chance(&tg->rng, tg->config.fragment)))
        return;
    s->fragmenting =
        (tg_rng_next(&tg->rng) >> 63) != 0 ? TG_FRAGMENTS_FORWARD : TG_FRAGMENTS_REVERSED;
    s->fragment_outer = c->wrap.tunnel != TG_TUNNEL_NONE && tg_rng_below(&tg->rng, 2) != 0;
    s->fragment_bytes = sizes[tg_rng_below(&tg->rng, 5)];
    if (packet / s->fragment_bytes >= TG_FRAGMENTS_MAX)
        s->fragment_bytes = 1480;
}

/* Keeps the set of bytes that the capture will never show. d->next is still the value before s. */
static void account(const struct tg_segment *s, struct tg_direction *d, bool lost)
{
    uint64_t end = s->off + s->len;
    uint64_t kept_end = lost ? s->off : s->off + s->kept;
    uint64_t old_end = kept_end < d->next ? kept_end : d->next;
    uint64_t new_hole = kept_end > d->next ? kept_end : d->next;
    if (s->garbage)
        return;
    if (old_end > s->off)
        tg_holes_remove(&d->holes, s->off, old_end);
    tg_holes_add(&d->holes, new_hole, end);
}

/* Into the capture, twice where a mirror port would show it twice; then whoever has waited long
 * enough. */
static void show(struct tg *tg, struct tg_connection *c, const struct tg_segment *s)
{
    tg_emit_segment(tg, c, s);
    if (tg_rng_chance(&tg->rng, tg->config.dup)) {
        tg->counts.duplicated++;
        tg_emit_segment(tg, c, s);
    }
    c->emitted++;
}

static void release(struct tg *tg, struct tg_connection *c, bool all)
{
    for (uint32_t i = 0; i < c->held_count;) {
        if (!all && c->held[i].release_at > c->emitted) {
            i++;
            continue;
        }
        struct tg_segment s = c->held[i].segment;
        c->held_count--;
        memmove(&c->held[i], &c->held[i + 1], (c->held_count - i) * sizeof(c->held[0]));
        show(tg, c, &s);
    }
}

void tg_impair_send(struct tg *tg, struct tg_connection *c, struct tg_segment *s)
{
    const struct tg_config *config = &tg->config;
    struct tg_direction *d = &c->dir[s->direction];
    bool tcp = c->tuple.protocol == 6;

    s->kept = s->len;
    if (config->snaplen != 0) {
        size_t header = tg_build_header_bytes(&c->tuple, &c->wrap, s);
        size_t room = config->snaplen > header ? config->snaplen - header : 0;
        if (room < s->len)
            s->kept = (uint32_t)room;
    }
    /* When no SYN told where the stream begins, its first byte has to: else no truth could be
     * known. */
    if (tcp && d->start_unknown && s->off == 0 && s->len != 0) {
        s->must_show = s->in_order = true;
        d->start_unknown = false;
    }
    choose_fragments(tg, c, s);
    bool lost = !s->must_show && tg_rng_chance(&tg->rng, config->loss);
    if (tcp)
        account(s, d, lost);
    if (lost) {
        tg->counts.lost_packets++;
        if ((s->flags & TG_TCP_SYN) != 0)
            d->start_unknown = true;
        /* Half of the lost datagrams in fragments lose one fragment only. */
        s->fragment_missing = s->fragmenting != TG_WHOLE && s->len > s->fragment_bytes &&
                              tg_rng_below(&tg->rng, 2) != 0;
        if (s->fragment_missing)
            tg_emit_segment(tg, c, s);
        return;
    }
    if (!s->in_order && c->held_count < TG_HELD_MAX && tg_rng_chance(&tg->rng, config->reorder)) {
        struct tg_held *h = &c->held[c->held_count++];
        h->segment = *s;
        h->release_at = c->emitted + tg_rng_range(&tg->rng, 1, config->reorder_distance);
        tg->counts.reordered++;
        return;
    }
    show(tg, c, s);
    release(tg, c, false);
}

void tg_impair_flush(struct tg *tg, struct tg_connection *c)
{
    release(tg, c, true);
}
