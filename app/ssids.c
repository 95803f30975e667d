/* SPDX-License-Identifier: BSD-3-Clause */
/* --ssids: the wireless networks of a capture. */
#include "app/ssids.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/run.h"
#include "format/json.h"
#include "sink/ssids.h"

int ssids_make_sink(struct run *r, unsigned worker, struct ws_sink **s)
{
    int rc = ws_sink_ssids_create(s, !r->o->ssids_bad_fcs);
    if (rc == 0)
        r->out.ssids[worker] = *s;
    return rc;
}

/* Length of the character at s of n bytes that may stand in XML 1.0 (section 2.2), 0 when there is
 * none. */
static size_t xml_char(const uint8_t *s, size_t n)
{
    if (s[0] < 0x80)
        return s[0] >= 0x20 && s[0] != 0x7f;
    size_t len = ws_text_utf8(s, n);
    return len == 3 && s[0] == 0xef && s[1] == 0xbf && s[2] >= 0xbe ? 0 : len; /* U+FFFE, U+FFFF */
}

/* Puts a name; what is no character becomes a question mark. Returns whether something did. */
static bool put_name(FILE *f, const uint8_t *s, size_t n, bool xml)
{
    bool lossy = false;
    for (size_t i = 0, len; i < n; i += len) {
        const char *entity = NULL;
        len = xml_char(s + i, n - i);
        if (len == 0) {
            lossy = true;
            len = 1;
            entity = "?";
        } else if (xml) {
            entity = s[i] == '<'    ? "&lt;"
                     : s[i] == '>'  ? "&gt;"
                     : s[i] == '&'  ? "&amp;"
                     : s[i] == '\'' ? "&apos;"
                     : s[i] == '"'  ? "&quot;"
                                    : NULL;
        }
        if (entity)
            fputs(entity, f);
        else
            fwrite(s + i, 1, len, f);
    }
    return lossy;
}

static void put_mac(FILE *f, const uint8_t mac[6])
{
    fprintf(f, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static void put_xml(FILE *f, const struct ws_ssid *s)
{
    fputs("  <ssid mac='", f);
    put_mac(f, s->network.bssid);
    fputs("' ssid='", f);
    bool lossy = put_name(f, s->network.ssid, s->network.ssid_len, true);
    fprintf(f, "' count='%" PRIu64 "'", s->beacons);
    if (s->responses)
        fprintf(f, " responses='%" PRIu64 "'", s->responses);
    if (lossy) {
        fputs(" hex='", f);
        for (unsigned i = 0; i < s->network.ssid_len; i++)
            fprintf(f, "%02x", s->network.ssid[i]);
        fputs("'", f);
    }
    fputs("/>\n", f);
}

static void put_json(FILE *f, const struct ws_ssid *s)
{
    char line[1024], mac[18];
    const uint8_t *m = s->network.bssid;
    struct ws_text t;
    struct ws_json j;
    ws_text_init(&t, line, sizeof(line) - 1);
    ws_json_init(&j, &t);
    ws_json_object(&j);
    ws_json_key(&j, "ssid");
    ws_json_str(&j, s->network.ssid, s->network.ssid_len);
    ws_json_key(&j, "bssid");
    snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
    ws_json_strz(&j, mac);
    ws_json_key(&j, "beacons");
    ws_json_u64(&j, s->beacons);
    ws_json_key(&j, "probe_responses");
    ws_json_u64(&j, s->responses);
    if (s->network.channel) {
        ws_json_key(&j, "channel");
        ws_json_u64(&j, s->network.channel);
    }
    ws_json_key(&j, "encrypted");
    ws_json_bool(&j, s->network.privacy);
    ws_json_object_end(&j);
    ws_text_putc(&t, '\n');
    ws_text_end(&t);
    fputs(line, f);
}

static void put_row(FILE *f, const struct ws_ssid *s)
{
    put_mac(f, s->network.bssid);
    fprintf(f, "  %7u  %10" PRIu64 "  %10" PRIu64 "  %-4s  ", s->network.channel, s->beacons,
            s->responses, s->network.privacy ? "yes" : "no");
    if (s->network.ssid_len)
        put_name(f, s->network.ssid, s->network.ssid_len, false);
    else
        fputs("(hidden)", f);
    fputc('\n', f);
}

int ssids_print(const struct run *r)
{
    struct ws_ssid *list;
    size_t n;
    if (!r->o->ssids || (r->o->report && !r->o->json))
        return 0;
    if (ws_ssids_list(r->out.ssids, r->ec.workers, &list, &n) < 0) {
        fprintf(stderr, "wirespool: out of memory for the wireless networks\n");
        return 3;
    }
    FILE *f = run_text_out(r);
    if (!r->o->json)
        fprintf(f, n ? "BSSID              Channel     Beacons   Responses  Encr  SSID\n"
                     : "no wireless networks\n");
    for (size_t i = 0; i < n; i++)
        (r->o->json ? put_json : put_row)(f, &list[i]);
    free(list);
    return 0;
}

char *ssids_xml(const struct run *r)
{
    struct ws_ssid *list = NULL;
    char *text = NULL;
    size_t n, len;
    if (!r->o->ssids || ws_ssids_list(r->out.ssids, r->ec.workers, &list, &n) < 0)
        return NULL;
    FILE *f = open_memstream(&text, &len);
    if (f) {
        fputs("<ssids>\n", f);
        for (size_t i = 0; i < n; i++)
            put_xml(f, &list[i]);
        fputs("</ssids>\n", f);
        if (fclose(f) != 0) {
            free(text);
            text = NULL;
        }
    }
    free(list);
    return text;
}
