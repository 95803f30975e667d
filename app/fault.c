/* SPDX-License-Identifier: BSD-3-Clause */
/* Injected write faults for tests: parses WS_FAULT. */
#include "app/fault.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/opts.h"

static int parse_error(const char *text, int *error)
{
    static const struct {
        const char *name;
        int error;
    } names[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO}, {"EDQUOT", EDQUOT}, {"EBADF", EBADF}};
    uint64_t n;
    for (size_t i = 0; i < WS_ARRAY_SIZE(names); i++) {
        if (strcmp(text, names[i].name) == 0) {
            *error = names[i].error;
            return 0;
        }
    }
    if (ws_parse_u64(text, &n) < 0 || n == 0 || n > 4095)
        return -EINVAL;
    *error = (int)n;
    return 0;
}

static int parse_u32(const char *text, uint32_t *out)
{
    uint64_t n;
    if (ws_parse_u64(text, &n) < 0 || n > UINT32_MAX)
        return -EINVAL;
    *out = (uint32_t)n;
    return 0;
}

static int set(struct ws_writer_config *w, const char *key, const char *value)
{
    struct ws_fault *f = &w->fault;
    if (strcmp(key, "output") == 0) {
        f->path = value;
        return 0;
    }
    if (strcmp(key, "bytes") == 0)
        return ws_parse_size(value, &f->byte_budget);
    if (strcmp(key, "error") == 0)
        return parse_error(value, &f->error);
    if (strcmp(key, "recover") == 0)
        return parse_u32(value, &f->recover_after);
    if (strcmp(key, "short") == 0)
        return parse_u32(value, &f->short_every);
    if (strcmp(key, "discard") == 0)
        return parse_u32(value, &f->discard);
    if (strcmp(key, "rate") == 0)
        return ws_parse_size(value, &f->rate);
    if (strcmp(key, "stall") == 0)
        return ws_parse_duration(value, &f->stall_ns);
    if (strcmp(key, "stall_at") == 0)
        return ws_parse_size(value, &f->stall_at);
    if (strcmp(key, "retry") == 0)
        return ws_parse_duration(value, &w->retry_ns);
    return -EINVAL;
}

int fault_from_environment(struct ws_writer_config *w)
{
    static char text[1024]; /* fault.path points into it */
    const char *env = getenv("WS_FAULT");
    char *save = NULL;

    if (!env || !*env)
        return 0;
    if (strlen(env) >= sizeof(text)) {
        fprintf(stderr, "wirespool: WS_FAULT: too long\n");
        return 2;
    }
    memcpy(text, env, strlen(env) + 1);
    w->backend = WS_BACKEND_FAULT;
    for (char *word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        char *value = strchr(word, '=');
        if (value)
            *value++ = '\0';
        if (!value || set(w, word, value) < 0) {
            fprintf(stderr, "wirespool: WS_FAULT: bad item '%s'\n", word);
            return 2;
        }
    }
    return 0;
}
