/* SPDX-License-Identifier: BSD-3-Clause */
/* The DFXML report, streamed with libxml2's writer. */
#include "post/dfxml.h"

#include <errno.h>
#include <inttypes.h>
#include <libxml/xmlversion.h>
#include <libxml/xmlwriter.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "format/text.h"

#define DC_NS      "http://purl.org/dc/elements/1.1/"
#define XSI_NS     "http://www.w3.org/2001/XMLSchema-instance"
#define TCPFLOW_NS "http://afflib.org/tcpflow/"
#define DFXML_NS   "http://www.forensicswiki.org/wiki/Category:Digital_Forensics_XML"

/* Paths, and a command line as long as the kernel hands out in one piece at most. */
#define CLEAN_MAX (256u * 1024u)

struct ws_dfxml {
    xmlTextWriterPtr w;
    int fd;
    int error; /* first one of the file, -errno */
    bool strict;
    char clean[CLEAN_MAX];
};

/* --- text --- */

/* Bytes of the UTF-8 character at s that XML 1.0 allows (section 2.2), 0 if there is none. */
static size_t xml_char(const uint8_t *s, size_t left)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
    if (n == 0 || n > left)
        return 0;
    uint32_t c = n == 1 ? s[0] : s[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if (s[i] >> 6 != 2)
            return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < least[n] || (c >= 0xd800 && c < 0xe000) || c == 0xfffe || c == 0xffff || c > 0x10ffff)
        return 0;
    return c >= 0x20 || c == '\t' || c == '\n' || c == '\r' ? n : 0;
}

/* Any bytes as text that XML can hold: what it cannot becomes U+FFFD. Valid until the next call. */
static const xmlChar *clean(struct ws_dfxml *x, const char *text, size_t len)
{
    const uint8_t *s = (const uint8_t *)text;
    size_t out = 0;
    for (size_t i = 0; i < len && out + 4 < sizeof(x->clean);) {
        size_t n = xml_char(s + i, len - i);
        memcpy(x->clean + out, n ? (const char *)s + i : "\xef\xbf\xbd", n ? n : 3);
        out += n ? n : 3;
        i += n ? n : 1;
    }
    x->clean[out] = '\0';
    return (const xmlChar *)x->clean;
}

static void begin(struct ws_dfxml *x, const char *name)
{
    (void)xmlTextWriterStartElement(x->w, (const xmlChar *)name);
}

static void end(struct ws_dfxml *x)
{
    (void)xmlTextWriterEndElement(x->w);
}

static void text(struct ws_dfxml *x, const char *name, const char *value)
{
    (void)xmlTextWriterWriteElement(x->w, (const xmlChar *)name, clean(x, value, strlen(value)));
}

static void number(struct ws_dfxml *x, const char *name, uint64_t v)
{
    (void)xmlTextWriterWriteFormatElement(x->w, (const xmlChar *)name, "%" PRIu64, v);
}

/* libxml2's writer (2.9) escapes no apostrophe, although it quotes with it when told to. */
static void attr(struct ws_dfxml *x, const char *name, const char *value)
{
    (void)clean(x, value, strlen(value));
    (void)xmlTextWriterStartAttribute(x->w, (const xmlChar *)name);
    for (char *at = x->clean;;) {
        char *quote = strchr(at, '\'');
        if (quote)
            *quote = '\0';
        (void)xmlTextWriterWriteString(x->w, (const xmlChar *)at);
        if (!quote)
            break;
        (void)xmlTextWriterWriteRaw(x->w, (const xmlChar *)"&apos;");
        at = quote + 1;
    }
    (void)xmlTextWriterEndAttribute(x->w);
}

static void attr_number(struct ws_dfxml *x, const char *name, uint64_t v)
{
    (void)xmlTextWriterWriteFormatAttribute(x->w, (const xmlChar *)name, "%" PRIu64, v);
}

static void time_text(char *buf, size_t max, int64_t ns, unsigned digits)
{
    struct ws_text t;
    ws_text_init(&t, buf, max);
    ws_text_iso(&t, ns, digits);
    (void)ws_text_end(&t);
}

/* --- head --- */

static void build_environment(struct ws_dfxml *x, const struct ws_dfxml_creator *c)
{
    begin(x, "build_environment");
    text(x, "compiler", __VERSION__);
    text(x, "compilation_date", c->build_date);
    begin(x, "library");
    attr(x, "name", "libxml2");
    attr(x, "version", LIBXML_DOTTED_VERSION);
    end(x);
    end(x);
}

static void execution_environment(struct ws_dfxml *x, const struct ws_dfxml_creator *c)
{
    struct utsname u;
    struct passwd pw, *found = NULL;
    char buf[1024], when[64];

    begin(x, "execution_environment");
    if (uname(&u) == 0) {
        text(x, "os_sysname", u.sysname);
        text(x, "os_release", u.release);
        text(x, "os_version", u.version);
        text(x, "host", u.nodename);
        text(x, "arch", u.machine);
    }
    text(x, "command_line", c->command_line ? c->command_line : "");
    number(x, "uid", getuid());
    if (getpwuid_r(getuid(), &pw, buf, sizeof(buf), &found) == 0 && found)
        text(x, "username", found->pw_name);
    time_text(when, sizeof(when), c->start_ns, 0);
    text(x, "start_time", when);
    end(x);
}

static void head(struct ws_dfxml *x, const struct ws_dfxml_creator *c)
{
    (void)xmlTextWriterStartDocument(x->w, "1.0", "UTF-8", NULL);
    begin(x, "dfxml");
    if (x->strict) {
        attr(x, "xmlns", DFXML_NS);
        attr(x, "xmlns:dc", DC_NS);
        attr(x, "version", "1.1.0");
    } else {
        attr(x, "xmloutputversion", "1.0");
        attr(x, "xmlns:tcpflow", TCPFLOW_NS);
    }
    begin(x, "metadata");
    if (!x->strict) {
        attr(x, "xmlns", TCPFLOW_NS);
        attr(x, "xmlns:xsi", XSI_NS);
        attr(x, "xmlns:dc", DC_NS);
    }
    text(x, "dc:type", "Feature Extraction");
    end(x);
    begin(x, "creator");
    attr(x, "version", "1.0");
    text(x, "program", "wirespool");
    text(x, "version", c->version);
    build_environment(x, c);
    execution_environment(x, c);
    end(x);
    if (x->strict) {
        begin(x, "source");
        for (size_t i = 0; i < c->n_inputs; i++)
            text(x, "image_filename", c->inputs[i]);
        end(x);
    } else {
        begin(x, "configuration");
        end(x);
        number(x, "tdelta", 0);
        begin(x, "configuration");
    }
}

/* --- file objects --- */

static void mac(struct ws_dfxml *x, const char *name, const uint8_t m[6])
{
    char buf[24];
    snprintf(buf, sizeof(buf), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
    attr(x, name, buf);
}

static void address(struct ws_dfxml *x, const char *name, const uint8_t a[16], unsigned ip_version)
{
    char buf[64];
    struct ws_text t;
    ws_text_init(&t, buf, sizeof(buf));
    ws_text_addr(&t, a, ip_version);
    (void)ws_text_end(&t);
    attr(x, name, buf);
}

/* As tcpflow: microseconds, and none where they are 0. */
static void time_attr(struct ws_dfxml *x, const char *name, int64_t ns)
{
    char when[64];
    int64_t us = ns % 1000000000 / 1000;
    time_text(when, sizeof(when), ns, us ? 6 : 0);
    attr(x, name, when);
}

static void flow(struct ws_dfxml *x, const struct ws_dfxml_object *o)
{
    begin(x, "tcpflow");
    time_attr(x, "startime", o->start_ns);
    time_attr(x, "endtime", o->end_ns);
    if (o->macs) {
        mac(x, "mac_daddr", o->mac_dst);
        mac(x, "mac_saddr", o->mac_src);
    }
    attr_number(x, "family", o->ip_version == 6 ? 10 : 2); /* AF_INET6, AF_INET of Linux */
    address(x, "src_ipn", o->src, o->ip_version);
    address(x, "dst_ipn", o->dst, o->ip_version);
    attr_number(x, "srcport", o->src_port);
    attr_number(x, "dstport", o->dst_port);
    attr_number(x, "packets", o->packets);
    if (o->out_of_order)
        attr_number(x, "out_of_order_count", o->out_of_order);
    if (o->violations)
        attr_number(x, "violations", o->violations);
    attr_number(x, "len", o->bytes);
    if (o->captured_bytes != o->bytes)
        attr_number(x, "caplen", o->captured_bytes);
    if (o->proto != 6)
        attr_number(x, "proto", o->proto);
    end(x);
}

static void digest(struct ws_dfxml *x, const char *md5)
{
    if (!md5 || !*md5)
        return;
    begin(x, "hashdigest");
    attr(x, "type", "MD5");
    (void)xmlTextWriterWriteString(x->w, (const xmlChar *)md5);
    end(x);
}

static void byte_runs(struct ws_dfxml *x, const struct ws_dfxml_object *o)
{
    if (o->n_run == 0)
        return;
    begin(x, "byte_runs");
    for (size_t i = 0; i < o->n_run; i++) {
        const struct ws_dfxml_run *r = &o->run[i];
        begin(x, "byte_run");
        attr_number(x, "file_offset", r->file_offset);
        if (x->strict) {
            attr_number(x, "len", r->span);
        } else {
            begin(x, "fileobject");
            text(x, "filename", r->path);
            number(x, "filesize", r->filesize);
            digest(x, r->md5);
            end(x);
        }
        end(x);
    }
    end(x);
}

static void result(struct ws_dfxml *x, const struct ws_dfxml_object *o)
{
    if (!o->result)
        return;
    begin(x, "tcpflow:result");
    attr(x, "scanner", "python");
    attr(x, "path", o->result_path);
    attr(x, "module", o->result_module);
    attr(x, "function", o->result_function);
    (void)xmlTextWriterWriteString(x->w, clean(x, o->result, o->result_len));
    end(x);
}

static void strict_file(struct ws_dfxml *x, const char *path, uint64_t size)
{
    text(x, "filename", path);
    text(x, "name_type", "r");
    number(x, "filesize", size);
}

/* The schema has no place for a flow: its name is in the file's, its begin is the file's time.
 * Files that were made out of it are objects of their own. */
static void strict_object(struct ws_dfxml *x, const struct ws_dfxml_object *o)
{
    char when[64];
    if (!o->path)
        return;
    begin(x, "fileobject");
    strict_file(x, o->path, o->filesize);
    if (o->has_flow) {
        time_text(when, sizeof(when), o->start_ns, 9);
        text(x, "mtime", when);
    }
    byte_runs(x, o);
    digest(x, o->md5);
    end(x);
    for (size_t i = 0; i < o->n_run; i++) {
        begin(x, "fileobject");
        strict_file(x, o->run[i].path, o->run[i].filesize);
        digest(x, o->run[i].md5);
        end(x);
    }
}

static int on_write(void *user, const char *buf, int len)
{
    struct ws_dfxml *x = user;
    for (int done = 0; done < len && !x->error;) {
        ssize_t n = write(x->fd, buf + done, (size_t)(len - done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            x->error = -errno;
        else
            done += (int)n;
    }
    return len; /* the error is told at the end; the writer would try again */
}

int ws_dfxml_open(struct ws_dfxml **out, int fd, const struct ws_dfxml_creator *creator)
{
    struct ws_dfxml *x = calloc(1, sizeof(*x));
    xmlOutputBufferPtr b = x ? xmlOutputBufferCreateIO(on_write, NULL, x, NULL) : NULL;
    if (b)
        x->w = xmlNewTextWriter(b);
    if (!x || !x->w) {
        if (b)
            (void)xmlOutputBufferClose(b);
        free(x);
        return -ENOMEM;
    }
    x->fd = fd;
    x->strict = creator->layout == WS_DFXML_STRICT;
    (void)xmlTextWriterSetIndent(x->w, 1);
    (void)xmlTextWriterSetIndentString(x->w, (const xmlChar *)"  ");
    (void)xmlTextWriterSetQuoteChar(x->w, '\'');
    head(x, creator);
    *out = x;
    return x->error;
}

int ws_dfxml_object(struct ws_dfxml *x, const struct ws_dfxml_object *o)
{
    if (x->error)
        return x->error;
    if (x->strict) {
        strict_object(x, o);
        return x->error;
    }
    begin(x, "fileobject");
    if (o->path)
        text(x, "filename", o->path);
    number(x, "filesize", o->filesize);
    if (o->has_flow)
        flow(x, o);
    digest(x, o->md5);
    byte_runs(x, o);
    result(x, o);
    end(x);
    return x->error;
}

/* --- tail --- */

static void seconds(struct ws_dfxml *x, const char *name, double s)
{
    (void)xmlTextWriterWriteFormatElement(x->w, (const xmlChar *)name, "%.6f", s);
}

static double timeval_s(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void usage(struct ws_dfxml *x, const struct ws_dfxml_tail *tail)
{
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u) < 0)
        return;
    begin(x, "rusage");
    seconds(x, "utime", timeval_s(u.ru_utime));
    seconds(x, "stime", timeval_s(u.ru_stime));
    number(x, "maxrss", (uint64_t)u.ru_maxrss);
    number(x, "minflt", (uint64_t)u.ru_minflt);
    number(x, "majflt", (uint64_t)u.ru_majflt);
    number(x, "nswap", (uint64_t)u.ru_nswap);
    number(x, "inblock", (uint64_t)u.ru_inblock);
    number(x, "oublock", (uint64_t)u.ru_oublock);
    seconds(x, "clocktime", tail->clock_s);
    end(x);
}

int ws_dfxml_close(struct ws_dfxml *x, const struct ws_dfxml_tail *tail)
{
    if (!x->strict) {
        end(x); /* configuration */
        if (tail && tail->ssids) {
            begin(x, "summary");
            (void)xmlTextWriterWriteRaw(x->w, (const xmlChar *)tail->ssids);
            end(x);
        }
        if (tail) {
            number(x, "open_fds_at_end", tail->open_fds);
            number(x, "max_open_flows", tail->max_open_flows);
            number(x, "total_flows", tail->total_flows);
            number(x, "flow_map_size", tail->flows_left);
            number(x, "total_packets", tail->total_packets);
            usage(x, tail);
        }
    }
    (void)xmlTextWriterEndDocument(x->w);
    xmlFreeTextWriter(x->w);
    int rc = x->error;
    if (x->fd != STDOUT_FILENO && close(x->fd) != 0 && errno != EINTR && !rc)
        rc = -errno;
    free(x);
    return rc;
}
