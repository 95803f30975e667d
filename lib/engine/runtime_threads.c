/* SPDX-License-Identifier: BSD-3-Clause */
/* The plain runtime: POSIX threads and mmap; no root, no EAL, no files. */
#include "engine/runtime_impl.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static_assert(sizeof(pthread_t) <= sizeof(uintptr_t), "a pthread_t fits its field");

static void *thread_main(void *arg)
{
    struct ws_runtime_thread *t = arg;
    (void)pthread_setname_np(pthread_self(), t->name);
    t->ret = t->fn(t->arg);
    return NULL;
}

static int threads_launch(struct ws_runtime *rt, unsigned index)
{
    struct ws_runtime_thread *t = &rt->thread[index];
    pthread_attr_t attr;
    pthread_t id;
    sigset_t all, old;

    int rc = pthread_attr_init(&attr);
    if (rc != 0)
        return -rc;
    if (t->cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((size_t)t->cpu, &set);
        rc = pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
    }
    if (rc == 0) {
        /* Signals are the main thread's: threads start with all of them blocked. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        rc = pthread_create(&id, &attr, thread_main, t);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    pthread_attr_destroy(&attr);
    if (rc == 0)
        t->pthread = (uintptr_t)id;
    return -rc;
}

static int threads_join(struct ws_runtime *rt, unsigned index)
{
    struct ws_runtime_thread *t = &rt->thread[index];
    int rc = pthread_join((pthread_t)t->pthread, NULL);
    return rc != 0 ? -rc : t->ret;
}

static const struct ws_runtime_ops threads_ops = {
    .alloc = ws_runtime_map,
    .launch = threads_launch,
    .join = threads_join,
    .stop = ws_runtime_unmap_all,
};

int ws_runtime_threads_init(struct ws_runtime *rt, const struct ws_runtime_config *cfg, char *err,
                            size_t err_len)
{
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    const bool known = sched_getaffinity(0, sizeof(allowed), &allowed) == 0;
    for (unsigned i = 0; i < cfg->threads; i++) {
        int cpu = cfg->cpu ? cfg->cpu[i] : -1;
        if (cpu >= CPU_SETSIZE || (cpu >= 0 && known && !CPU_ISSET((size_t)cpu, &allowed))) {
            snprintf(err, err_len, "CPU %d is not among those that this process may use", cpu);
            return -EINVAL;
        }
        rt->thread[i].cpu = cpu;
    }
    rt->ops = &threads_ops;
    rt->want_hugetlb = cfg->hugepages;
    return 0;
}
