/* SPDX-License-Identifier: BSD-3-Clause */
/* What a failing output costs: suspension, retry, the end, and the words about it. */
#include "writer/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

bool ws_error_is_disk(int error)
{
    switch (-error) {
    case ENOSPC:
    case EDQUOT:
    case EIO:
    case EROFS:
    case EFBIG:
    case ENODEV:
    case ESTALE:
    case ENOMEM:
    case ENOBUFS:
    case ETIMEDOUT:
    case EMFILE: /* only after the LRU was emptied */
    case ENFILE:
        return true;
    default:
        return false;
    }
}

static const char *shown(const struct ws_output *o)
{
    return strcmp(o->path, "-") == 0 ? "standard output" : o->path;
}

static void first_error(struct ws_writer *w, const char *path, int error)
{
    int none = 0;
    if (atomic_load_explicit(&w->first_error_set, memory_order_relaxed))
        return;
    snprintf(w->first_error, sizeof(w->first_error), "%.400s: %.100s", path, strerror(-error));
    atomic_compare_exchange_strong_explicit(&w->first_error_set, &none, 1, memory_order_release,
                                            memory_order_relaxed);
}

bool ws_out_may_try(const struct ws_output *o)
{
    if (atomic_load_explicit(&o->w->abort, memory_order_relaxed))
        return false;
    if (WS_LIKELY(!atomic_load_explicit(&o->suspended, memory_order_relaxed)))
        return true;
    o->w->now_ns = ws_writer_clock_ns(); /* a round that drops much may outlast the time to the next try */
    return !o->failed && o->w->now_ns >= o->retry_at_ns;
}

void ws_out_lost(struct ws_output *o, uint64_t bytes, uint64_t records)
{
    atomic_fetch_add_explicit(&o->said->lost, bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&o->said->all_bytes, bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&o->said->all_records, records, memory_order_relaxed);
    ws_count(&o->w->counters, WS_C_WRITE_LOST_BYTES, bytes);
    ws_count(&o->w->counters, o->cfg.not_packets ? WS_C_WRITE_LOST_RECORDS : WS_C_WRITE_LOST_PACKETS,
             records);
}

void ws_output_lost(const struct ws_output *o, uint64_t *bytes, uint64_t *records)
{
    *bytes = atomic_load_explicit(&o->said->all_bytes, memory_order_relaxed);
    *records = atomic_load_explicit(&o->said->all_records, memory_order_relaxed);
}

static void mark_bad(struct ws_output *o)
{
    if (!atomic_load_explicit(&o->suspended, memory_order_relaxed)) {
        atomic_store_explicit(&o->suspended, true, memory_order_relaxed);
        atomic_fetch_add_explicit(&o->w->out_bad, 1, memory_order_relaxed);
    }
}

void ws_out_suspend(struct ws_output *o, const char *verb, int error)
{
    struct ws_writer *w = o->w;
    bool again = atomic_load_explicit(&o->suspended, memory_order_relaxed);
    ws_count(&w->counters, WS_C_WRITE_ERRORS, 1);
    first_error(w, shown(o), error);
    o->last_error = error;
    o->retry_at_ns = w->now_ns + w->cfg.retry_ns;
    o->write_failed |= strcmp(verb, "write") == 0;
    if (again)
        return;
    mark_bad(o);
    ws_count(&w->counters, WS_C_WRITE_SUSPENDS, 1);
    if (atomic_fetch_add(&o->said->suspended, 1) > 0)
        return; /* another writer of the same tree has said it */
    atomic_store_explicit(&o->said->lost, 0, memory_order_relaxed);
    ws_log(WS_LOG_ERROR, "%s: %s failed: %s; output suspended, retrying every %g s", shown(o), verb,
           strerror(-error), (double)w->cfg.retry_ns / 1e9);
}

void ws_out_fail(struct ws_output *o, const char *verb, int error)
{
    ws_count(&o->w->counters, WS_C_WRITE_ERRORS, 1);
    first_error(o->w, shown(o), error);
    o->last_error = error;
    mark_bad(o);
    if (!o->failed && !atomic_exchange(&o->said->failed, true))
        ws_log(WS_LOG_ERROR, "%s: %s failed: %s; output ended", shown(o), verb, strerror(-error));
    o->failed = true;
}

void ws_out_ok(struct ws_output *o)
{
    if (WS_LIKELY(!atomic_load_explicit(&o->suspended, memory_order_relaxed)) || o->failed)
        return;
    o->write_failed = false;
    atomic_store_explicit(&o->suspended, false, memory_order_relaxed);
    atomic_fetch_sub_explicit(&o->w->out_bad, 1, memory_order_relaxed);
    ws_count(&o->w->counters, WS_C_WRITE_RESUMES, 1);
    if (atomic_fetch_sub(&o->said->suspended, 1) == 1)
        ws_log(WS_LOG_WARN, "%s: resumed, %" PRIu64 " bytes lost", shown(o),
               atomic_load_explicit(&o->said->lost, memory_order_relaxed));
}

void ws_out_file_error(struct ws_output *o, const char *path, const char *verb, int error)
{
    char text[WS_PATH_MAX + 512];
    ws_count(&o->w->counters, WS_C_WRITE_ERRORS, 1);
    snprintf(text, sizeof(text), "%s%s%s", shown(o), path ? "/" : "", path ? path : "");
    first_error(o->w, text, error);
    unsigned lines = atomic_fetch_add(&o->said->error_lines, 1);
    if (lines < WS_ERROR_LINES)
        ws_log(WS_LOG_ERROR, "%s: %s failed: %s", text, verb, strerror(-error));
    else if (lines == WS_ERROR_LINES)
        ws_log(WS_LOG_ERROR, "%s: more files failed; they are counted only", o->path);
    else
        atomic_store(&o->said->error_lines, WS_ERROR_LINES + 1); /* never round to 0 */
}

void ws_out_file_exists(struct ws_output *o, const char *path)
{
    char text[WS_PATH_MAX + 512];
    ws_count(&o->w->counters, WS_C_WRITE_ERRORS, 1);
    ws_count(&o->w->counters, WS_C_OUT_EXISTS, 1);
    snprintf(text, sizeof(text), "%s/%s", shown(o), path);
    first_error(o->w, text, -EEXIST);
    if (!atomic_exchange(&o->said->exists, true))
        ws_log(WS_LOG_ERROR, "%s: exists already: files that exist stay as they are, and what belongs there is not written "
                             "(--overwrite replaces them)", text);
}
