/* SPDX-License-Identifier: BSD-3-Clause */
/* Seldom link layers and tags: each must lead to the same inner packet, or say why not. */
#include "frames.h"

static struct build b;
static struct ws_packet p;

/* The inner packet behind a header leads to itself; the header cut anywhere leads to no flow. */
static void check_header(uint16_t link_type, int version, const uint8_t *header, size_t len)
{
    if (version == 4)
        inner4(&b);
    else
        inner6(&b);
    build_front(&b, header, len);
    decode_as(&b, link_type, &p);
    check_inner(&p, version);
    for (uint32_t cut = 0; cut < len; cut++)
        assert_int_not_equal(decode_with(&b, link_type, &p, cut, &ws_decode_defaults),
                             WS_DECODE_OK);
}

static enum ws_decode_status status_of(uint16_t link_type, const uint8_t *header, size_t len)
{
    inner4(&b);
    build_front(&b, header, len);
    return decode_as(&b, link_type, &p);
}

#define HEADER(link, version, ...)                                                                 \
    do {                                                                                           \
        static const uint8_t header[] = {__VA_ARGS__};                                             \
        check_header(link, version, header, sizeof(header));                                       \
    } while (0)

#define STATUS(status, link, ...)                                                                  \
    do {                                                                                           \
        static const uint8_t header[] = {__VA_ARGS__};                                             \
        assert_int_equal(status_of(link, header, sizeof(header)), status);                         \
    } while (0)

static void frame_relay(void **state)
{
    (void)state;
    HEADER(107, 4, 0x48, 0xe1, 0x03, 0xcc);
    HEADER(107, 6, 0x48, 0xe1, 0x03, 0x8e);
    HEADER(107, 4, 0x48, 0xe1, 0x03, 0x00, 0xcc);
    HEADER(107, 4, 0x48, 0xe0, 0x02, 0x11, 0x03, 0xcc); /* an address of four octets */
    HEADER(107, 6, 0x48, 0xe1, 0x86, 0xdd);             /* Cisco */
    HEADER(107, 4, 0x48, 0xe1, 0x03, 0x00, 0x80, 0, 0, 0, 0x08, 0x00);
    inner4(&b);
    build_ether(&b, 0x0800);
    static const uint8_t bridged[] = {0x48, 0xe1, 0x03, 0x00, 0x80, 0x00, 0x80, 0xc2, 0, 7};
    build_front(&b, bridged, sizeof(bridged));
    decode_as(&b, 107, &p);
    check_inner(&p, 4);
    STATUS(WS_DECODE_NON_IP, 107, 0x48, 0xe0, 0x02, 0x10, 0x03, 0xcc); /* endless address */
    STATUS(WS_DECODE_NON_IP, 107, 0x00, 0x01, 0x03, 0x08);             /* LMI */
    STATUS(WS_DECODE_NON_IP, 107, 0x48, 0xe1, 0x00, 0x10);
}

static void arcnet(void **state)
{
    (void)state;
    HEADER(129, 4, 0xbe, 0x50, 0xab, 0x08, 240);
    HEADER(129, 4, 0xbe, 0x50, 0xab, 0x08, 212, 0, 1, 0x66);
    HEADER(129, 6, 0xbe, 0x50, 0xab, 0x08, 196, 0, 1, 0x66);
    HEADER(129, 4, 0xbe, 0x50, 0xab, 0x08, 212, 0xff, 0xff, 0xff, 212, 0, 1, 0x66);
    STATUS(WS_DECODE_NON_IP, 129, 0xbe, 0x50, 0xab, 0x08, 212, 2, 1, 0x66); /* a piece */
    STATUS(WS_DECODE_NON_IP, 129, 0xbe, 0x50, 0xab, 0x08, 213, 0, 1, 0x66); /* ARP */
}

static void ipnet(void **state)
{
    (void)state;
    HEADER(226, 4, 1, 2, 0, 0, 0, 0, 0, 0x54, 0, 0, 0, 2, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0,
           0);
    HEADER(226, 6, 1, 26, 0, 0, 0, 0, 0, 0x54, 0, 0, 0, 2, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0,
           0);
    STATUS(WS_DECODE_NON_IP, 226, 1, 1, 0, 0, 0, 0, 0, 0x54, 0, 0, 0, 2, 0, 0, 0, 0, 255, 255, 255,
           255, 0, 0, 0, 0);
}

static void nflog(void **state)
{
    (void)state;
    size_t len = 40 + 20 + strlen(HELLO);
    uint8_t le[] = {2, 0, 0, 20, 8, 0, 1, 0, 8, 0, 1, 39, 5, 0, 10, 0, 0, 0, 0, 0, 0, 0, 9, 0};
    inner4(&b);
    le[20] = (uint8_t)(len - 20 + 4);
    build_fill(&b, 0xee, 8); /* a later item */
    build_front(&b, le, sizeof(le));
    decode_as(&b, 239, &p);
    check_inner(&p, 4);
    for (uint32_t cut = 0; cut < sizeof(le); cut++)
        assert_int_not_equal(decode_with(&b, 239, &p, cut, &ws_decode_defaults), WS_DECODE_OK);
    uint8_t be[] = {10, 0, 0, 20, 0, 8, 0, 1, 8, 0, 1, 39, 0, 5, 0, 10, 0, 0, 0, 0, 0, 0, 0, 9};
    inner6(&b);
    be[21] = (uint8_t)(len + 4);
    build_front(&b, be, sizeof(be));
    decode_as(&b, 239, &p);
    check_inner(&p, 6);
    STATUS(WS_DECODE_NON_IP, 239, 2, 0, 0, 20, 3, 0, 1, 0); /* an item shorter than its header */
    STATUS(WS_DECODE_NON_IP, 239, 7, 0, 0, 20, 8, 0, 9, 0); /* bridge */
}

static void ipoib(void **state)
{
    (void)state;
    uint8_t header[44] = {[40] = 8};
    check_header(242, 4, header, sizeof(header));
    header[41] = 6; /* ARP */
    assert_int_equal(status_of(242, header, sizeof(header)), WS_DECODE_NON_IP);
}

static void pktap(void **state)
{
    (void)state;
    uint8_t header[108] = {[0] = 108, [4] = 1, [8] = 101};
    check_header(258, 4, header, sizeof(header));
    check_header(149, 6, header, sizeof(header));
    header[8] = 2; /* the packet: Ethernet in PKTAP in PKTAP is refused */
    header[9] = 1;
    assert_int_equal(status_of(258, header, sizeof(header)), WS_DECODE_LINK_TYPE);
    header[4] = 0; /* no packet */
    assert_int_equal(status_of(258, header, sizeof(header)), WS_DECODE_NON_IP);
    header[0] = 16; /* somebody else's USER2 */
    assert_int_equal(status_of(149, header, sizeof(header)), WS_DECODE_LINK_TYPE);
}

#define ETHER 2, 0, 0, 0, 0, 0xd, 2, 0, 0, 0, 0, 5

static void macsec(void **state)
{
    (void)state;
    HEADER(1, 4, ETHER, 0x88, 0xe5, 0x20, 0, 0, 0, 0, 0x44, 1, 2, 3, 4, 5, 6, 0, 1, 0x08, 0x00);
    HEADER(1, 6, ETHER, 0x88, 0xe5, 0x00, 0, 0, 0, 0, 0x44, 0x86, 0xdd);
    STATUS(WS_DECODE_NON_IP, 1, ETHER, 0x88, 0xe5, 0x0c, 0, 0, 0, 0, 0x44, 0x08, 0x00);
    /* the short length ends the data before the check value */
    STATUS(WS_DECODE_TRUNC_IP, 1, ETHER, 0x88, 0xe5, 0x00, 12, 0, 0, 0, 0x44, 0x08, 0x00);
}

static void nsh(void **state)
{
    (void)state;
    HEADER(1, 4, ETHER, 0x89, 0x4f, 0x00, 0x02, 2, 1, 0, 0, 3, 9);
    HEADER(1, 6, ETHER, 0x89, 0x4f, 0x0f, 0xc6, 1, 2, 0, 3, 9, 7, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0,
           3, 0, 0, 0, 4);
    HEADER(1, 4, ETHER, 0x89, 0x4f, 0x00, 0x02, 2, 3, 0, 0, 3, 9, ETHER, 0x08, 0x00);
    STATUS(WS_DECODE_NON_IP, 1, ETHER, 0x89, 0x4f, 0x00, 0x01, 2, 1, 0, 0, 3, 9);
    STATUS(WS_DECODE_NON_IP, 1, ETHER, 0x89, 0x4f, 0x00, 0x02, 2, 4, 0, 0, 3, 9);
}

static void arista(void **state)
{
    (void)state;
    HEADER(1, 4, ETHER, 0xd2, 0x8b, 0, 1, 0, 0x10, 1, 2, 3, 4, 5, 6, 7, 8, 0x08, 0x00);
    HEADER(1, 6, ETHER, 0xd2, 0x8b, 0, 1, 1, 0x20, 1, 2, 3, 4, 5, 6, 0x86, 0xdd);
    STATUS(WS_DECODE_NON_IP, 1, ETHER, 0xd2, 0x8b, 0, 2, 0, 0x10, 1, 2, 3, 4, 5, 6, 7, 8, 0x08,
           0x00);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_relay), cmocka_unit_test(arcnet), cmocka_unit_test(ipnet),
        cmocka_unit_test(nflog),       cmocka_unit_test(ipoib),  cmocka_unit_test(pktap),
        cmocka_unit_test(macsec),      cmocka_unit_test(nsh),    cmocka_unit_test(arista),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
