/* SPDX-License-Identifier: BSD-3-Clause */
/* A connection's run: which side answers, and its messages. */
#include "http/http.h"

#include "base/compiler.h"

#include <stdlib.h>
#include <string.h>

struct ws_http {
    struct ws_http_options options;
};

bool ws_http_is_response(const uint8_t *data, size_t len)
{
    return len >= 7 && memcmp(data, "HTTP/1.", 7) == 0;
}

struct ws_http *ws_http_create(const struct ws_http_options *options)
{
    struct ws_http *http = calloc(1, sizeof *http);

    if (http != NULL)
        http->options = *options;
    return http;
}

void ws_http_destroy(struct ws_http *http)
{
    free(http);
}

const char *ws_http_fate_name(enum ws_http_fate fate)
{
    static const char *const names[WS_HTTP_FATES] = {"complete", "cut", "gap", "bad coding",
                                                     "limited"};

    return (unsigned)fate < WS_HTTP_FATES ? names[fate] : "?";
}

const char *ws_http_extension(const char *mime)
{
    return strcmp(mime, "text/html") == 0 ? "html" : "";
}

int ws_http_run(struct ws_http *http, const struct ws_http_input *input,
                const struct ws_http_output *output, struct ws_http_sums *sums)
{
    (void)http, (void)output;
    memset(sums, 0, sizeof *sums);
    for (unsigned side = 0; side < 2; side++) {
        uint8_t start[7];
        ssize_t n =
            input->side[side].present ? input->read(input->user, side, 0, start, sizeof start) : 0;

        if (n < 0)
            return (int)n;
        sums->found |= ws_http_is_response(start, (size_t)n);
    }
    return 0;
}
