/* SPDX-License-Identifier: BSD-3-Clause */
/* Encoders of stream framings. */
#include "format/chunk.h"

#include "base/bytes.h"
#include "format/json.h"

void ws_chunk12_encode(uint8_t out[WS_CHUNK12_LEN], const struct ws_chunk *c)
{
    ws_store_le64(out, c->ts_ns);
    ws_store_le16(out + 8, c->len);
    ws_store_le16(out + 10, c->stream_id);
}

void ws_chunk32_encode(uint8_t out[WS_CHUNK32_LEN], const struct ws_chunk *c)
{
    uint32_t sum = (uint32_t)(c->ts_ns & 0xffff) + c->len + c->stream_id + (c->seq & 0xffff) +
                   (c->ack & 0xffff) + (c->window & 0xffff) + c->flags;
    ws_chunk12_encode(out, c);
    ws_store_le32(out + 12, c->seq);
    ws_store_le32(out + 16, c->ack);
    ws_store_le32(out + 20, c->window);
    ws_store_le16(out + 24, c->flags);
    ws_store_le16(out + 26, (uint16_t)sum);
    ws_store_le32(out + 28, 0);
}

void ws_chunk_missing(struct ws_text *t, uint64_t missing)
{
    ws_text_putc(t, '[');
    ws_text_u64(t, missing, 0, '0');
    ws_text_puts(t, " bytes missing]");
}

void ws_chunk_text_header(struct ws_text *t, unsigned side, uint64_t size)
{
    ws_text_puts(t, "\r\n{\"_\":\"--------------------\",\"side\":\"");
    ws_text_u64(t, side, 0, '0');
    ws_text_puts(t, "\",\"size\":\"");
    ws_text_u64(t, size, 0, '0');
    ws_text_puts(t, "\"}\r\n");
}

/* A member whose value is a number in quotes, as pcap2conn writes all of them. */
static void put_quoted(struct ws_json *j, const char *key, uint64_t v)
{
    ws_json_key(j, key);
    ws_json_raw(j);
    ws_text_putc(j->t, '"');
    ws_text_u64(j->t, v, 0, '0');
    ws_text_putc(j->t, '"');
}

static void put_time(struct ws_json *j, const char *key, int64_t ns, bool all_digits)
{
    ws_json_key(j, key);
    ws_json_raw(j);
    ws_text_putc(j->t, '"');
    if (all_digits)
        ws_text_seconds(j->t, ns, 9);
    else /* to the nearest 10 us, as printf's %.5f */
        ws_text_seconds(
            j->t,
            ns > INT64_MAX - 5000 || ns < INT64_MIN + 5000 ? ns : ns + (ns < 0 ? -5000 : 5000), 5);
    ws_text_putc(j->t, '"');
}

void ws_chunk_json_line(struct ws_text *t, const struct ws_chunk_json *c)
{
    struct ws_json j;
    char gap_buf[40];
    struct ws_text gap;

    ws_text_init(&gap, gap_buf, sizeof(gap_buf));
    if (c->missing && c->missing_text)
        ws_chunk_missing(&gap, c->missing);
    ws_json_init(&j, t);
    ws_json_object(&j);
    put_quoted(&j, "side", c->side);
    ws_json_key(&j, "time");
    ws_json_object(&j);
    put_time(&j, "abs", c->ts_ns, c->ns);
    put_time(&j, "conn", c->conn_ns, c->ns);
    ws_json_object_end(&j);
    put_quoted(&j, "size", gap.len + c->len);
    if (c->missing)
        put_quoted(&j, "missing", c->missing);
    ws_json_key(&j, "data");
    ws_json_raw(&j);
    ws_text_putc(t, '"');
    ws_text_put(t, gap.buf, gap.len);
    ws_json_escape(t, c->data, c->len, true);
    ws_text_putc(t, '"');
    ws_json_key(&j, "data_hex");
    ws_json_raw(&j);
    ws_text_putc(t, '"');
    ws_text_hex(t, (const uint8_t *)gap.buf, gap.len, true);
    ws_text_hex(t, c->data, c->len, true);
    ws_text_putc(t, '"');
    ws_json_object_end(&j);
    ws_text_put(t, "\r\n", 2);
}

static void put_count(struct ws_text *t, const char *label, uint64_t v)
{
    ws_text_puts(t, label);
    ws_text_u64(t, v, 0, '0');
    ws_text_putc(t, '\n');
}

void ws_chunk_metadata_text(struct ws_text *t, const struct ws_chunk_metadata *m)
{
    put_count(t, "Number of data packets in side 0:  ", m->packets[0]);
    put_count(t, "Number of data packets in side 1:  ", m->packets[1]);
    put_count(t, "Total number of data packets:      ", m->packets[0] + m->packets[1]);
    ws_text_putc(t, '\n');
    put_count(t, "Number of bytes in side 0:         ", m->bytes[0]);
    put_count(t, "Number of bytes in side 1:         ", m->bytes[1]);
    put_count(t, "Total number of bytes:             ", m->bytes[0] + m->bytes[1]);
    ws_text_putc(t, '\n');
    put_count(t, "Number of messages in side 0:      ", m->messages[0]);
    put_count(t, "Number of messages in side 1:      ", m->messages[1]);
}

/* A line of the object: KEY, bytes, packets and messages, END. */
static void put_counts(struct ws_text *t, const char *key, uint64_t bytes, uint64_t packets,
                       uint64_t messages, const char *end)
{
    ws_text_puts(t, key);
    ws_text_puts(t, "{\"bytes\":\"");
    ws_text_u64(t, bytes, 0, '0');
    ws_text_puts(t, "\",\"packets\":\"");
    ws_text_u64(t, packets, 0, '0');
    ws_text_puts(t, "\",\"messages\":\"");
    ws_text_u64(t, messages, 0, '0');
    ws_text_puts(t, "\"}");
    ws_text_puts(t, end);
}

/* Laid out by hand, blanks and tabs as pcap2conn has them. */
void ws_chunk_metadata_json(struct ws_text *t, const struct ws_chunk_metadata *m)
{
    put_counts(t, "{\n\t\"total\": ", m->bytes[0] + m->bytes[1], m->packets[0] + m->packets[1],
               m->messages[0] + m->messages[1], ",\n");
    put_counts(t, "\t\"side_0\":", m->bytes[0], m->packets[0], m->messages[0], ",\n");
    put_counts(t, "\t\"side_1\":", m->bytes[1], m->packets[1], m->messages[1], "\n}\n");
}

void ws_chunk_gap_line(struct ws_text *t, uint64_t offset, uint64_t length, const char *cause)
{
    struct ws_json j;
    ws_json_init(&j, t);
    ws_json_object(&j);
    ws_json_key(&j, "offset");
    ws_json_u64(&j, offset);
    ws_json_key(&j, "length");
    ws_json_u64(&j, length);
    ws_json_key(&j, "cause");
    ws_json_strz(&j, cause);
    ws_json_object_end(&j);
    ws_text_putc(t, '\n');
}
