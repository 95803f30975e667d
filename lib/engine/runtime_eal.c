/* SPDX-License-Identifier: BSD-3-Clause */
/* The runtime with ports: DPDK's EAL, its lcores as threads, its hugepages as memory. */
#include "engine/runtime_impl.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <glob.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>

#include "base/log.h"
#include "source/port_log.h"

static_assert(WS_RUNTIME_THREADS_MAX + 1 <= 128, "DPDK's usual RTE_MAX_LCORE");

/* EAL arguments that one start can have: ours are about a dozen, the rest is the user's. */
#define EAL_ARGS_MAX 64

/* DPDK memory when the caller does not say: a few ports of four queues with default descriptors. */
#define EAL_MEMORY_BYTES_DEFAULT ((size_t)256 << 20)

/* What EAL itself and the drivers take besides mbuf pools. */
#define EAL_MEMORY_BYTES_OVERHEAD ((size_t)48 << 20)

/* An address that no PCI bus has. Allowing it alone keeps EAL from taking every device that is
 * bound to a user-space driver; ports are then probed one by one as --dev names them. */
#define EAL_ALLOW_NOTHING "ffff:ff:1f.7"

struct eal_args {
    int count;
    char *arg[EAL_ARGS_MAX + 1];
    bool full;
};

/* What the user's own arguments decide, so that ours stay away. */
struct eal_user {
    bool lcores, memory_mode, devices, telemetry, log_level, help, no_pci;
    bool memory_size;    /* -m or --socket-mem */
    size_t memory_bytes; /* of -m; 0 = not given */
};

static void WS_PRINTF(2, 3) arg_add(struct eal_args *a, const char *fmt, ...)
{
    va_list ap;
    char *text;
    va_start(ap, fmt);
    if (a->count == EAL_ARGS_MAX || vasprintf(&text, fmt, ap) < 0)
        a->full = true;
    else
        a->arg[a->count++] = text;
    va_end(ap);
}

/* Appends the words of text; '...' and "..." keep blanks, as in a shell without expansion. */
static int arg_split(struct eal_args *a, const char *text)
{
    char word[4096];
    const char *p = text;
    for (;;) {
        size_t len = 0;
        char quote = 0;
        while (isspace((unsigned char)*p))
            p++;
        if (*p == '\0')
            return 0;
        for (; *p && (quote || !isspace((unsigned char)*p)); p++) {
            if (quote ? *p == quote : *p == '\'' || *p == '"') {
                quote = quote ? 0 : *p;
                continue;
            }
            if (len == sizeof(word) - 1)
                return -E2BIG;
            word[len++] = *p;
        }
        if (quote)
            return -EINVAL;
        word[len] = '\0';
        arg_add(a, "%s", word);
    }
}

/* True for "--name", "--name=value" and, where short_name is not 0, "-n" and "-nvalue". */
static bool is_option(const char *arg, const char *name, char short_name)
{
    if (arg[0] != '-')
        return false;
    if (arg[1] != '-')
        return short_name && arg[1] == short_name;
    size_t len = strlen(name);
    return len > 0 && strncmp(arg + 2, name, len) == 0 &&
           (arg[2 + len] == '\0' || arg[2 + len] == '=');
}

static struct eal_user user_options(const struct eal_args *a, int from)
{
    struct eal_user u = {0};
    for (int i = from; i < a->count; i++) {
        const char *s = a->arg[i];
        u.lcores |= is_option(s, "lcores", 'l') || is_option(s, "", 'c');
        u.memory_mode |= is_option(s, "no-huge", 0) || is_option(s, "in-memory", 0) ||
                         is_option(s, "huge-dir", 0) || is_option(s, "file-prefix", 0) ||
                         is_option(s, "proc-type", 0) || is_option(s, "huge-unlink", 0) ||
                         is_option(s, "legacy-mem", 0) || is_option(s, "single-file-segments", 0);
        u.memory_size |= is_option(s, "socket-mem", 0) || is_option(s, "", 'm');
        if (is_option(s, "", 'm')) {
            const char *mib = s[2] ? s + 2 : i + 1 < a->count ? a->arg[i + 1] : "0";
            u.memory_bytes = (size_t)strtoul(mib, NULL, 10) << 20;
        }
        u.devices |= is_option(s, "allow", 'a') || is_option(s, "block", 'b');
        u.no_pci |= is_option(s, "no-pci", 0);
        u.telemetry |= is_option(s, "telemetry", 0) || is_option(s, "no-telemetry", 0);
        u.log_level |= is_option(s, "log-level", 0);
        u.help |= is_option(s, "help", 'h');
    }
    return u;
}

static uint64_t read_number(const char *path)
{
    unsigned long long v = 0;
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    if (fscanf(f, "%llu", &v) != 1)
        v = 0;
    fclose(f);
    return v;
}

/* Bytes of hugepages, of all sizes and nodes, that are free and promised to nobody. */
static uint64_t hugepage_bytes_free(void)
{
    uint64_t total = 0;
    glob_t g = {0};
    if (glob("/sys/kernel/mm/hugepages/hugepages-*kB", 0, NULL, &g) == 0) {
        for (size_t i = 0; i < g.gl_pathc; i++) {
            char path[256];
            uint64_t kib = strtoull(strrchr(g.gl_pathv[i], '-') + 1, NULL, 10);
            snprintf(path, sizeof(path), "%s/free_hugepages", g.gl_pathv[i]);
            uint64_t pages = read_number(path);
            snprintf(path, sizeof(path), "%s/resv_hugepages", g.gl_pathv[i]);
            uint64_t promised = read_number(path);
            total += pages > promised ? (pages - promised) * kib << 10 : 0;
        }
    }
    globfree(&g);
    return total;
}

/* --lcores: lcore 0 is the main thread, free on all allowed CPUs (it sleeps); lcore i + 1 is thread
 * i, on its CPU. More lcores than CPUs are fine with this mapping, unlike with -l. */
static int add_lcores(struct eal_args *a, const struct ws_runtime_config *cfg, char *err,
                      size_t err_len)
{
    int cpus[CPU_SETSIZE];
    unsigned n = 0;
    cpu_set_t allowed;
    /* an entry is at most "127@1023," */
    char text[CPU_SETSIZE * 5 + WS_RUNTIME_THREADS_MAX * 10 + 16];
    size_t at;

    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) {
        snprintf(err, err_len, "cannot read the CPU affinity: %s", strerror(errno));
        return -errno;
    }
    for (int c = 0; c < CPU_SETSIZE; c++)
        if (CPU_ISSET((size_t)c, &allowed))
            cpus[n++] = c;
    at = (size_t)snprintf(text, sizeof(text), "0@(");
    for (unsigned i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%d", i ? "," : "", cpus[i]);
    at += (size_t)snprintf(text + at, sizeof(text) - at, ")");
    for (unsigned i = 0; i < cfg->threads; i++) {
        int cpu = cfg->cpu ? cfg->cpu[i] : -1;
        if (cpu >= CPU_SETSIZE || (cpu >= 0 && !CPU_ISSET((size_t)cpu, &allowed))) {
            snprintf(err, err_len, "CPU %d is not among those that this process may use", cpu);
            return -EINVAL;
        }
        if (cpu < 0)
            cpu = cpus[(i + 1) % n];
        at += (size_t)snprintf(text + at, sizeof(text) - at, ",%u@%d", i + 1, cpu);
    }
    arg_add(a, "--lcores");
    arg_add(a, "%s", text);
    return 0;
}

/* Hugepages when enough are free, else ordinary memory, said once. --in-memory and --no-huge
 * exclude each other; both leave no files, so that two processes never clash. */
static bool add_memory(struct eal_args *a, const struct eal_user *user, size_t want)
{
    const uint64_t have = hugepage_bytes_free();
    want += EAL_MEMORY_BYTES_OVERHEAD;
    if (user->memory_bytes)
        want = user->memory_bytes;
    if (have >= want) {
        arg_add(a, "--in-memory");
        return true;
    }
    ws_log(WS_LOG_INFO,
           "using ordinary memory: %llu MiB of hugepages are free, %zu MiB are needed "
           "(dpdk-hugepages.py --setup %zuM)",
           (unsigned long long)(have >> 20), want >> 20, want >> 20);
    arg_add(a, "--no-huge");
    arg_add(a, "--no-shconf");
    if (!user->memory_size) {
        arg_add(a, "-m");
        arg_add(a, "%zu", want >> 20);
    }
    return false;
}

/* EAL orders launch and wait itself, but inside a library that TSan does not see into; gate says
 * the same where it can be seen. */
static int eal_main(void *arg)
{
    struct ws_runtime_thread *t = arg;
    (void)atomic_load_explicit(&t->gate, memory_order_acquire);
    (void)pthread_setname_np(pthread_self(), t->name);
    int ret = t->fn(t->arg);
    atomic_fetch_add_explicit(&t->gate, 1, memory_order_release);
    return ret;
}

static int eal_launch(struct ws_runtime *rt, unsigned index)
{
    struct ws_runtime_thread *t = &rt->thread[index];
    atomic_fetch_add_explicit(&t->gate, 1, memory_order_release);
    return rte_eal_remote_launch(eal_main, t, t->lcore);
}

static int eal_join(struct ws_runtime *rt, unsigned index)
{
    int ret = rte_eal_wait_lcore(rt->thread[index].lcore);
    (void)atomic_load_explicit(&rt->thread[index].gate, memory_order_acquire);
    return ret;
}

static void *eal_alloc(struct ws_runtime *rt, size_t bytes, int numa_node)
{
    static _Atomic int said;
    if (rt->hugepages) {
        void *mem =
            rte_zmalloc_socket("wirespool", bytes, 4096, numa_node < 0 ? SOCKET_ID_ANY : numa_node);
        if (!mem && numa_node >= 0)
            mem = rte_zmalloc_socket("wirespool", bytes, 4096, SOCKET_ID_ANY);
        if (mem && ws_runtime_piece_add(rt, mem, bytes, WS_PIECE_EAL) == 0)
            return mem;
        rte_free(mem);
        ws_log_once(&said, WS_LOG_INFO,
                    "not enough free hugepages for all tables; using ordinary memory for the rest");
    }
    return ws_runtime_map(rt, bytes, numa_node);
}

static void eal_stop(struct ws_runtime *rt)
{
    ws_runtime_unmap_all(rt);
    while (rt->pieces) {
        struct ws_runtime_piece *p = rt->pieces;
        rt->pieces = p->next;
        rte_free(p->mem);
        free(p);
    }
    rte_eal_cleanup();
}

static const struct ws_runtime_ops eal_ops = {
    .alloc = eal_alloc,
    .launch = eal_launch,
    .join = eal_join,
    .stop = eal_stop,
};

/* rte_eal_init prints its usage on stdout and alerts on stderr; both would only blur our one line.
 */
static int init_quietly(int argc, char **argv, bool quiet)
{
    int out = -1, errfd = -1, null = -1;
    sigset_t all, old;

    fflush(NULL);
    if (quiet && (null = open("/dev/null", O_WRONLY | O_CLOEXEC)) >= 0) {
        out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
        errfd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        if (out >= 0)
            dup2(null, STDOUT_FILENO);
        if (errfd >= 0)
            dup2(null, STDERR_FILENO);
    }
    /* EAL's threads inherit this mask: signals are the main thread's. */
    sigfillset(&all);
    sigdelset(&all, SIGABRT);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    const int opterr_before = opterr;
    opterr = 0;
    int rc = rte_eal_init(argc, argv);
    opterr = opterr_before;
    pthread_sigmask(SIG_SETMASK, &old, NULL);

    fflush(NULL);
    if (out >= 0) {
        dup2(out, STDOUT_FILENO);
        close(out);
    }
    if (errfd >= 0) {
        dup2(errfd, STDERR_FILENO);
        close(errfd);
    }
    if (null >= 0)
        close(null);
    return rc;
}

static int take_lcores(struct ws_runtime *rt, char *err, size_t err_len)
{
    unsigned i = 0;
    /* -1 as unsigned: rte_get_next_lcore's way to say "from the first" */
    for (unsigned lcore = rte_get_next_lcore(UINT_MAX, 1, 0); lcore < RTE_MAX_LCORE;
         lcore = rte_get_next_lcore(lcore, 1, 0)) {
        if (i < rt->threads)
            rt->thread[i].lcore = lcore;
        i++;
    }
    if (i >= rt->threads)
        return 0;
    snprintf(err, err_len, "the EAL arguments give %u lcores besides the main one; %u are needed",
             i, rt->threads);
    return -EINVAL;
}

int ws_runtime_eal_init(struct ws_runtime *rt, const struct ws_runtime_config *cfg, char *err,
                        size_t err_len)
{
    static bool started;
    struct eal_args own = {0};
    char *argv[EAL_ARGS_MAX + 1];
    char why[256];
    bool huge = false;

    if (started) {
        snprintf(err, err_len, "DPDK can be started once a process");
        return -EALREADY;
    }
    arg_add(&own, "wirespool");
    int rc = cfg->eal_args ? arg_split(&own, cfg->eal_args) : 0;
    if (rc < 0) {
        snprintf(err, err_len, "--eal: %s",
                 rc == -E2BIG ? "an argument is too long" : "a quote is not closed");
        goto out;
    }
    const struct eal_user user = user_options(&own, 1);
    if (!user.lcores && (rc = add_lcores(&own, cfg, err, err_len)) < 0)
        goto out;
    if (!user.memory_mode)
        huge = add_memory(&own, &user,
                          cfg->eal_memory_bytes ? cfg->eal_memory_bytes : EAL_MEMORY_BYTES_DEFAULT);
    if (!user.devices && !user.no_pci) {
        arg_add(&own, "-a");
        arg_add(&own, EAL_ALLOW_NOTHING);
    }
    if (!user.telemetry)
        arg_add(&own, "--no-telemetry");
    if (own.full) {
        snprintf(err, err_len, "--eal: more than %d arguments", EAL_ARGS_MAX);
        rc = -E2BIG;
        goto out;
    }
    rc = ws_port_log_open(user.log_level);
    if (rc < 0) {
        snprintf(err, err_len, "cannot route DPDK's log");
        goto out;
    }
    started = true;
    memcpy(argv, own.arg, sizeof(argv)); /* EAL reorders its argv */
    ws_port_log_hold();
    rc = init_quietly(own.count, argv, !user.help && ws_log_level < WS_LOG_DEBUG);
    ws_port_log_release(why, sizeof(why));
    if (rc < 0) {
        snprintf(err, err_len, "cannot start DPDK: %s%s%s", rte_strerror(rte_errno),
                 why[0] ? "; " : "", why);
        rc = rte_errno ? -rte_errno : -EIO;
        goto out;
    }
    rc = take_lcores(rt, err, err_len);
    if (rc < 0) {
        rte_eal_cleanup();
        goto out;
    }
    rt->ops = &eal_ops;
    rt->hugepages = user.memory_mode ? rte_eal_has_hugepages() != 0 : huge;
out:
    for (int i = 0; i < own.count; i++)
        free(own.arg[i]);
    return rc;
}
