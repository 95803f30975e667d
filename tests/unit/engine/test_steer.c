/* SPDX-License-Identifier: BSD-3-Clause */
/* Steering: what is lent stays until every link has released it; a full ring or chunk pool refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "engine/steer.h"

enum { SLOTS = 8, COPY_CHUNKS = 2, MARKS = 4 };

struct bed {
    struct ws_steer steer;
    struct ws_steer_link *link[2];
    void *mem, *ring[2];
    uint64_t released; /* last source chunk given back + 1 */
};

static struct bed bed;

static void on_release(struct ws_source *s, uint64_t seq)
{
    (void)s;
    assert_int_equal(seq, bed.released); /* in order, each once */
    bed.released = seq + 1;
}

static const struct ws_source_ops source_ops = {.release = on_release};
static struct ws_source source = {.ops = &source_ops, .stable = true};

static int set_up(void **state)
{
    (void)state;
    memset(&bed, 0, sizeof(bed));
    size_t bytes = ws_steer_bytes(COPY_CHUNKS, MARKS);
    bed.mem = aligned_alloc(64, ws_align_up(bytes, 64));
    memset(bed.mem, 0, bytes);
    ws_steer_init(&bed.steer, bed.mem, COPY_CHUNKS, MARKS);
    for (unsigned w = 0; w < 2; w++) {
        bed.link[w] = aligned_alloc(64, ws_align_up(sizeof(**bed.link), 64));
        memset(bed.link[w], 0, sizeof(**bed.link));
        bed.ring[w] = aligned_alloc(64, ws_ring_bytes(SLOTS, sizeof(struct ws_packet)));
        ws_ring_init(&bed.link[w]->ring, bed.ring[w], SLOTS, sizeof(struct ws_packet));
        bed.steer.link[w] = bed.link[w];
    }
    bed.steer.n_link = 2;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (unsigned w = 0; w < 2; w++) {
        free(bed.link[w]);
        free(bed.ring[w]);
    }
    free(bed.mem);
    return 0;
}

static void consume(unsigned w, size_t n)
{
    assert_int_equal(ws_ring_count(&bed.link[w]->ring, n), n);
    ws_ring_release(&bed.link[w]->ring, n);
}

static void lends_source_chunks_until_released(void **state)
{
    uint8_t byte = 7;
    struct ws_packet p = {.data = &byte, .cap_len = 1};
    (void)state;
    ws_steer_source_chunk(&bed.steer, 0);
    assert_true(ws_steer_put(&bed.steer, 0, &p, false));
    assert_true(ws_steer_put(&bed.steer, 1, &p, false));
    ws_steer_publish(&bed.steer);
    ws_steer_source_chunk(&bed.steer, 1); /* chunk 0 is left */
    assert_true(ws_steer_put(&bed.steer, 1, &p, false));
    ws_steer_publish(&bed.steer);
    ws_steer_retire(&bed.steer, &source);
    assert_int_equal(bed.released, 0);
    consume(0, 1);
    ws_steer_retire(&bed.steer, &source);
    assert_int_equal(bed.released, 0); /* worker 1 still reads it */
    consume(1, 1);
    ws_steer_retire(&bed.steer, &source);
    assert_int_equal(bed.released, 1);
}

static void copies_move_their_pointers(void **state)
{
    uint8_t frame[100], datagram[200];
    struct ws_packet p = {.data = frame, .cap_len = 100, .l4 = frame + 34, .l4_len = 66,
                          .payload = frame + 54, .payload_len = 46};
    (void)state;
    for (size_t i = 0; i < sizeof(frame); i++)
        frame[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof(datagram); i++)
        datagram[i] = (uint8_t)(255 - i);
    assert_true(ws_steer_put(&bed.steer, 0, &p, true));
    struct ws_packet d = {.flags = WS_PKT_DATAGRAM, .data = frame, .cap_len = 100, .l4 = datagram,
                          .l4_len = 200, .payload = datagram + 8, .payload_len = 192};
    assert_true(ws_steer_put(&bed.steer, 0, &d, true));
    ws_steer_publish(&bed.steer);
    memset(frame, 0, sizeof(frame));
    memset(datagram, 0, sizeof(datagram));
    assert_int_equal(ws_ring_count(&bed.link[0]->ring, 2), 2);
    const struct ws_packet *got = ws_ring_peek(&bed.link[0]->ring, 0);
    assert_int_equal(got->data[99], 99);
    assert_int_equal(got->l4[0], 34);
    assert_int_equal(got->payload[45], 99);
    got = ws_ring_peek(&bed.link[0]->ring, 1);
    assert_int_equal(got->payload[0], 247);
    assert_int_equal(got->payload[191], 56);
}

static void refuses_when_full(void **state)
{
    static uint8_t big[WS_STEER_CHUNK_BYTES];
    struct ws_packet p = {.data = big, .cap_len = sizeof(big)};
    (void)state;
    /* Two chunks: the third copy must wait until the first was consumed. */
    assert_true(ws_steer_put(&bed.steer, 0, &p, true));
    assert_true(ws_steer_put(&bed.steer, 1, &p, true));
    ws_steer_publish(&bed.steer);
    assert_false(ws_steer_put(&bed.steer, 0, &p, true));
    consume(1, 1);
    assert_false(ws_steer_put(&bed.steer, 0, &p, true));
    consume(0, 1);
    assert_true(ws_steer_put(&bed.steer, 0, &p, true));
    /* A full ring. */
    for (int i = 1; i < SLOTS; i++)
        assert_true(ws_steer_put(&bed.steer, 0, &p, false));
    assert_false(ws_steer_put(&bed.steer, 0, &p, false));
    ws_steer_publish(&bed.steer);
    assert_false(ws_steer_put(&bed.steer, 0, &p, false));
    consume(0, 1);
    assert_true(ws_steer_put(&bed.steer, 0, &p, false));
    /* Longer than a chunk: never. */
    p.cap_len++;
    assert_false(ws_steer_put(&bed.steer, 1, &p, true));
}

/* What was consumed is taken again before what lies cold. */
static void takes_the_first_free_chunk(void **state)
{
    static uint8_t big[WS_STEER_CHUNK_BYTES];
    struct ws_packet p = {.data = big, .cap_len = sizeof(big)};
    const uint8_t *first = NULL;
    (void)state;
    for (unsigned i = 0; i < 2 * COPY_CHUNKS + 1; i++) {
        assert_true(ws_steer_put(&bed.steer, i & 1, &p, true));
        ws_steer_publish(&bed.steer);
        const struct ws_packet *got = ws_ring_peek(&bed.link[i & 1]->ring, 0);
        first = first ? first : got->data;
        assert_ptr_equal(got->data, first);
        consume(i & 1, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lends_source_chunks_until_released, set_up, tear_down),
        cmocka_unit_test_setup_teardown(copies_move_their_pointers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_when_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(takes_the_first_free_chunk, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
