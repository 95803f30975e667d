/* SPDX-License-Identifier: BSD-3-Clause */
/* File name templates, and JSON escapes of arbitrary bytes: bounds, and no slash or control byte from values. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "format/json.h"
#include "format/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(int ok)
{
    if (!ok)
        abort();
}

/* First bytes: the values; the rest: the template. */
static void try_name(const uint8_t *data, size_t len)
{
    struct ws_name_values v = {.ip_version = 4};
    struct ws_name_options opt = {0};
    struct ws_name n;
    char text[1024], err[160], out[600];
    size_t head = len < sizeof(v) ? len : sizeof(v);

    memcpy(&v, data, head);
    v.ip_version = v.ip_version & 1 ? 6 : 4;
    opt.colon = len & 1 ? '_' : 0;
    opt.no_counter = len & 2;
    size_t tpl = len - head < sizeof(text) - 1 ? len - head : sizeof(text) - 1;
    memcpy(text, data + head, tpl);
    text[tpl] = '\0';
    if (ws_name_compile(&n, text, &opt, err, sizeof(err)) != 0) {
        check(strlen(err) > 0);
        return;
    }
    for (size_t max = sizeof(out); max; max /= 2) {
        int rc = ws_name_render(&n, &v, out, max);
        check(rc < 0 || ((size_t)rc < max && strlen(out) <= (size_t)rc));
    }
    /* Values bring no directories: as many slashes as the template has. */
    int rc = ws_name_render(&n, &v, out, sizeof(out));
    size_t want = 0, got = 0;
    for (const char *s = text; *s; s++)
        want += *s == '/';
    for (int i = 0; i < rc; i++)
        got += out[i] == '/';
    check(rc < 0 || got == want);
}

static void try_escape(const uint8_t *data, size_t len, bool ascii)
{
    size_t room = len * 6 + 1;
    char *buf = malloc(room);
    struct ws_text t;
    check(buf != NULL);
    ws_text_init(&t, buf, room);
    ws_json_escape(&t, data, len, ascii);
    check(!t.cut);
    for (size_t i = 0; i < t.len; i++)
        check((uint8_t)buf[i] >= 0x20 && (!ascii || (uint8_t)buf[i] < 0x7f));
    free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    try_name(data, len);
    try_escape(data, len, false);
    try_escape(data, len, true);
    return 0;
}
