/* SPDX-License-Identifier: BSD-3-Clause */
/* Unaligned loads and stores of both byte orders; callers have checked the bounds. */
#ifndef WS_BASE_BYTES_H
#define WS_BASE_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t ws_load_be16(const uint8_t *p)
{
    return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

static inline uint32_t ws_load_be24(const uint8_t *p)
{
    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static inline uint32_t ws_load_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t ws_load_be64(const uint8_t *p)
{
    return (uint64_t)ws_load_be32(p) << 32 | ws_load_be32(p + 4);
}

static inline uint16_t ws_load_le16(const uint8_t *p)
{
    return (uint16_t)((unsigned)p[1] << 8 | p[0]);
}

static inline uint32_t ws_load_le32(const uint8_t *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static inline uint64_t ws_load_le64(const uint8_t *p)
{
    return (uint64_t)ws_load_le32(p + 4) << 32 | ws_load_le32(p);
}

static inline void ws_store_be16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void ws_store_be32(uint8_t *p, uint32_t v)
{
    ws_store_be16(p, (uint16_t)(v >> 16));
    ws_store_be16(p + 2, (uint16_t)v);
}

static inline void ws_store_le16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void ws_store_le32(uint8_t *p, uint32_t v)
{
    ws_store_le16(p, (uint16_t)v);
    ws_store_le16(p + 2, (uint16_t)(v >> 16));
}

static inline void ws_store_le64(uint8_t *p, uint64_t v)
{
    ws_store_le32(p, (uint32_t)v);
    ws_store_le32(p + 4, (uint32_t)(v >> 32));
}

#endif
