/* SPDX-License-Identifier: BSD-3-Clause */
/* The file of --chart. */
#include "app/chart.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app/chart_page.h"
#include "app/run.h"
#include "format/text.h"
#include "sink/traffic.h"
#include "writer/writer.h"
#include "ws_config.h"

/* Lines of each list of --chart-list. */
#define LISTED 100u

static_assert(WS_ARRAY_SIZE(((struct chart *)0)->sink) >= WS_WORKERS_MAX, "a sink a worker");

static int complain(const struct run *r, const char *text, int code)
{
    fprintf(stderr, "wirespool: --chart %s: %s\n", r->o->chart, text);
    return code;
}

int chart_check(const struct run *r)
{
    const char *path = r->o->chart;
    if (!path)
        return 0;
    if (!WS_HAVE_CAIRO)
        return complain(r, "built without cairo, so that no page can be drawn", 2);
    if (!*path || path[strlen(path) - 1] == '/' || strcmp(path, "-") == 0)
        return complain(r, "the page goes to a file", 2);
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return complain(r, "is not a regular file", 3);
    if (!r->o->overwrite && access(path, F_OK) == 0)
        return complain(r, "exists already (--overwrite replaces it)", 3);
    return 0;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int chart_open(struct run *r)
{
    struct chart *c = &r->out.chart;
    if (!r->o->chart)
        return 0;
    if (asprintf(&c->part, "%s.part", r->o->chart) < 0) {
        c->part = NULL;
        return complain(r, "out of memory", 3);
    }
    const char *name;
    int dir_fd = ws_path_parent(c->part, &name);
    c->dir_fd = dir_fd < 0 ? 0 : dir_fd;
    c->fd = open(c->part,
                 O_WRONLY | O_CREAT | O_CLOEXEC | (r->o->overwrite ? O_TRUNC | O_NOFOLLOW : O_EXCL),
                 0666);
    if (c->fd >= 0)
        return 0;
    int code = complain(
        r, errno == EEXIST ? "its .part exists already (--overwrite replaces it)" : strerror(errno),
        3);
    c->fd = 0;
    free(c->part); /* not ours: it stays */
    c->part = NULL;
    return code;
}

void chart_chown(const struct chart *c, uid_t uid, gid_t gid)
{
    if (c->part && fchown(c->fd, uid, gid) < 0)
        fprintf(stderr, "wirespool: %s: %s\n", c->part, strerror(errno));
}

static uint64_t random_seed(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
        seed = (uintptr_t)&seed;
    return seed;
}

int chart_make_sink(struct run *r, unsigned worker, struct ws_sink **s)
{
    struct ws_sink_traffic_config tc = {
        .addresses_max = (uint32_t)WS_MIN(r->o->chart_addresses, UINT32_MAX),
        .seed = random_seed(),
    };
    int rc = ws_sink_traffic_create(s, &tc);
    if (rc == 0)
        r->out.chart.sink[worker] = *s;
    return rc;
}

/* Now, or what SOURCE_DATE_EPOCH says (https://reproducible-builds.org/specs/source-date-epoch/).
 */
static int64_t made_ns(void)
{
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    char *end;
    int64_t s = time(NULL), ns;
    if (epoch && *epoch) {
        errno = 0;
        long long v = strtoll(epoch, &end, 10);
        if (errno == 0 && *end == '\0')
            s = v;
    }
    return __builtin_mul_overflow(s, INT64_C(1000000000), &ns) ? 0 : ns;
}

/* Whether the user asked for some of the packets only. */
static bool selected(const struct options *o)
{
    return o->filter || o->port.n || o->host.n || o->tuple.n || o->community_id.n || o->flow.n ||
           o->not_port.n || o->after || o->before;
}

/* Addresses with most bytes, "source 10.0.0.1 1234" a line. */
static void list_addresses(FILE *f, const char *what, const struct ws_heavy *h)
{
    struct ws_heavy_item top[LISTED];
    unsigned n = ws_heavy_top(h, top, LISTED);
    for (unsigned i = 0; i < n; i++) {
        char addr[64];
        struct ws_text t;
        ws_text_init(&t, addr, sizeof(addr) - 1);
        ws_text_addr(&t, top[i].addr, top[i].ip_version);
        ws_text_end(&t);
        fprintf(f, "%s %s %" PRIu64 "\n", what, addr, top[i].bytes);
    }
}

static void list_ports(FILE *f, const char *what, const struct ws_traffic *t, unsigned dir)
{
    uint16_t top[LISTED];
    unsigned n = ws_traffic_top_ports(t, dir, top, LISTED);
    for (unsigned i = 0; i < n; i++)
        fprintf(f, "%s %u %" PRIu64 "\n", what, top[i], t->port[top[i]][dir]);
}

static void list(FILE *f, const struct ws_traffic *t)
{
    list_addresses(f, "source", &t->src);
    list_addresses(f, "destination", &t->dst);
    list_ports(f, "source-port", t, 0);
    list_ports(f, "destination-port", t, 1);
}

static int draw(struct run *r, FILE *f)
{
    const struct options *o = r->o;
    struct ws_sink_traffic_config tc = {.addresses_max =
                                            (uint32_t)WS_MIN(o->chart_addresses, UINT32_MAX)};
    struct ws_traffic sum;
    const char *device[2 * WS_OPT_LIST_MAX];
    struct chart_text text = {.made_ns = made_ns(), .selected = selected(o)};
    const struct ws_opt_list *const inputs[] = {&o->input, &o->dev, &o->iface};

    text.input = r->paths ? r->paths : device;
    text.n_input = r->n_paths;
    for (size_t i = 0; i < WS_ARRAY_SIZE(inputs) && !r->paths; i++)
        for (unsigned k = 0; k < inputs[i]->n && text.n_input < WS_ARRAY_SIZE(device); k++)
            device[text.n_input++] = inputs[i]->item[k] ? inputs[i]->item[k] : "first interface"; /* no -i */
    int rc = ws_traffic_init(&sum, &tc);
    if (rc < 0)
        return rc;
    for (unsigned w = 0; w < r->ec.workers; w++)
        if (r->out.chart.sink[w])
            ws_traffic_merge(&sum, ws_sink_traffic_counts(r->out.chart.sink[w]));
    rc = chart_page_write(f, &sum, &text);
    if (o->chart_list)
        list(o->json ? stderr : run_text_out(r), &sum);
    ws_traffic_fini(&sum);
    return rc;
}

int chart_finish(struct run *r)
{
    struct chart *c = &r->out.chart;
    if (!c->part)
        return 0;
    FILE *f = fdopen(c->fd, "w");
    int rc = f ? draw(r, f) : -ENOMEM;
    if (f) {
        if (fclose(f) != 0 && rc == 0)
            rc = -errno;
        c->fd = 0;
    }
    if (rc < 0)
        return complain(r, strerror(-rc), 3);
    rc = ws_path_rename(c->dir_fd, base_name(c->part), base_name(r->o->chart), r->o->overwrite);
    if (rc < 0)
        fprintf(stderr, "wirespool: --chart %s: rename failed: %s; the page is %s\n", r->o->chart, strerror(-rc), c->part);
    free(c->part); /* what is there stays */
    c->part = NULL;
    return rc < 0 ? 1 : 0;
}

void chart_fini(struct chart *c)
{
    if (c->fd)
        close(c->fd);
    if (c->part)
        unlinkat(c->dir_fd, base_name(c->part), 0);
    if (c->dir_fd)
        close(c->dir_fd);
    free(c->part);
    memset(c, 0, sizeof(*c));
}
