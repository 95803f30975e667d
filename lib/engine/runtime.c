/* SPDX-License-Identifier: BSD-3-Clause */
/* The public face of the two runtimes: checks, and the choice between them. */
#include "engine/runtime_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "ws_config.h"

int ws_runtime_start(struct ws_runtime **out, const struct ws_runtime_config *cfg, char *err,
                     size_t err_len)
{
    *out = NULL;
    if (cfg->threads == 0 || cfg->threads > WS_RUNTIME_THREADS_MAX) {
        snprintf(err, err_len, "%u threads asked for; 1 to %u are possible", cfg->threads,
                 WS_RUNTIME_THREADS_MAX);
        return -EINVAL;
    }
#if !WS_HAVE_DPDK
    if (cfg->eal) {
        snprintf(err, err_len, "ports cannot be used: built without DPDK");
        return -ENOTSUP;
    }
#endif
    struct ws_runtime *rt = calloc(1, sizeof(*rt));
    if (!rt) {
        snprintf(err, err_len, "out of memory");
        return -ENOMEM;
    }
    rt->threads = cfg->threads;
#if WS_HAVE_DPDK
    int rc = cfg->eal ? ws_runtime_eal_init(rt, cfg, err, err_len)
                      : ws_runtime_threads_init(rt, cfg, err, err_len);
#else
    int rc = ws_runtime_threads_init(rt, cfg, err, err_len);
#endif
    if (rc < 0) {
        free(rt);
        return rc;
    }
    *out = rt;
    return 0;
}

void *ws_runtime_alloc(struct ws_runtime *rt, size_t bytes, int numa_node)
{
    if (bytes == 0 || bytes > SIZE_MAX / 2)
        return NULL;
    return rt->ops->alloc(rt, bytes, numa_node);
}

int ws_runtime_launch(struct ws_runtime *rt, unsigned index, const char *name, int (*fn)(void *),
                      void *arg)
{
    if (index >= rt->threads)
        return -EINVAL;
    struct ws_runtime_thread *t = &rt->thread[index];
    if (t->launched)
        return -EBUSY;
    snprintf(t->name, sizeof(t->name), "%s", name);
    t->fn = fn;
    t->arg = arg;
    int rc = rt->ops->launch(rt, index);
    t->launched = rc == 0;
    return rc;
}

int ws_runtime_join(struct ws_runtime *rt, unsigned index)
{
    if (index >= rt->threads || !rt->thread[index].launched)
        return -EINVAL;
    rt->thread[index].launched = false;
    return rt->ops->join(rt, index);
}

bool ws_runtime_has_hugepages(const struct ws_runtime *rt)
{
    return rt->hugepages;
}

void ws_runtime_stop(struct ws_runtime *rt)
{
    if (!rt)
        return;
    rt->ops->stop(rt);
    free(rt);
}
