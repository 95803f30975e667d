/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers on the axes of --chart. */
#include "app/chart_scale.h"

#include <math.h>
#include <stdio.h>

#include "format/text.h"

#define MS INT64_C(1000000)
#define S  (1000 * MS)
#define H  (3600 * S)
#define D  (24 * H)

double chart_step(double max, unsigned steps)
{
    double power = pow(10, floor(log10(max / steps)));
    static const double factor[] = {1, 2, 5, 10};
    for (size_t i = 0; i < WS_ARRAY_SIZE(factor); i++)
        if (factor[i] * power * steps >= max * (1 - 1e-9))
            return factor[i] * power;
    return 20 * power;
}

/* Above a second; below they are 1, 2, 5 times a power of ten. */
static const int64_t second_steps[] = {
    S,       2 * S,   5 * S,   10 * S,   15 * S,   20 * S,   30 * S,    60 * S,    120 * S,
    300 * S, 600 * S, 900 * S, 1200 * S, 1800 * S, H,        2 * H,     3 * H,     4 * H,
    6 * H,   8 * H,   12 * H,  D,        2 * D,    5 * D,    10 * D,    20 * D,    50 * D,
    100 * D, 200 * D, 500 * D, 1000 * D, 2000 * D, 5000 * D, 10000 * D, 20000 * D, 50000 * D,
};

/* The step after ns; what is beyond the last repeats it. */
static int64_t next_step(int64_t ns)
{
    for (int64_t power = 1; power < S; power *= 10)
        for (int64_t f = 1; f <= 5; f += f == 1 ? 1 : 3)
            if (f * power > ns)
                return f * power;
    for (size_t i = 0; i < WS_ARRAY_SIZE(second_steps); i++)
        if (second_steps[i] > ns)
            return second_steps[i];
    return second_steps[WS_ARRAY_SIZE(second_steps) - 1];
}

int64_t chart_bar_ns(int64_t unit_ns, uint64_t span_ns, unsigned bars)
{
    int64_t step = unit_ns, next;
    while (span_ns / (uint64_t)step >= bars) {
        for (next = next_step(step); next % unit_ns && next != next_step(next);)
            next = next_step(next);
        if (next == step || next % unit_ns)
            break;
        step = next;
    }
    return step;
}

int64_t chart_tick_ns(uint64_t span_ns, unsigned ticks)
{
    int64_t step = 1, next;
    while (span_ns / (uint64_t)step >= ticks && (next = next_step(step)) != step)
        step = next;
    return step;
}

void chart_duration(char *buf, size_t len, uint64_t ns)
{
    uint64_t s = ns / (uint64_t)S;
    if (ns < 1000)
        snprintf(buf, len, "%u ns", (unsigned)ns);
    else if (ns < (uint64_t)MS)
        snprintf(buf, len, "%.3g \xc2\xb5s", (double)ns / 1e3);
    else if (ns < (uint64_t)S)
        snprintf(buf, len, "%.3g ms", (double)ns / 1e6);
    else if (s < 60)
        snprintf(buf, len, "%.3g s", (double)ns / 1e9);
    else if (s < 3600)
        snprintf(buf, len, s % 60 ? "%u min %u s" : "%u min", (unsigned)(s / 60),
                 (unsigned)(s % 60));
    else if (s < 86400)
        snprintf(buf, len, s / 60 % 60 ? "%u h %u min" : "%u h", (unsigned)(s / 3600),
                 (unsigned)(s / 60 % 60));
    else
        snprintf(buf, len, s / 3600 % 24 ? "%u d %u h" : "%u d", (unsigned)(s / 86400),
                 (unsigned)(s / 3600 % 24));
}

void chart_time(char *buf, size_t len, int64_t ns, int64_t step_ns)
{
    char iso[48];
    unsigned digits = 0;
    struct ws_text t;
    for (int64_t unit = S; unit > step_ns || step_ns % unit; unit /= 10)
        digits++;
    ws_text_init(&t, iso, sizeof(iso) - 1);
    ws_text_iso(&t, ns, digits);
    ws_text_end(&t);
    char *time = strchr(iso, 'T');
    if (!time) {
        snprintf(buf, len, "?");
    } else if (step_ns >= D) {
        snprintf(buf, len, "%.*s", (int)(time - iso), iso);
    } else {
        size_t n = step_ns % (60 * S) == 0 ? 5 : strcspn(time + 1, "Z");
        snprintf(buf, len, "%.*s", (int)n, time + 1);
    }
}

void chart_si(char *buf, size_t len, double v, const char *unit)
{
    static const char *const prefix[] = {"", "k", "M", "G", "T", "P", "E"};
    size_t i = 0;
    while (v >= 999.5 && i + 1 < WS_ARRAY_SIZE(prefix)) {
        v /= 1000;
        i++;
    }
    /* whole numbers have no decimals: ticks are short so */
    bool whole = v < 0.5 ? v <= 0 : fabs(v - round(v)) < 1e-6;
    if (v < 0.995 && !whole)
        snprintf(buf, len, "%.2g %s", v, unit);
    else
        snprintf(buf, len, "%.*f %s%s",
                 whole || v >= 99.95 ? 0
                 : v >= 9.995        ? 1
                                     : 2,
                 v, prefix[i], unit);
}

const char *chart_port_name(unsigned port)
{
    /* https://www.iana.org/assignments/service-names-port-numbers, short */
    static const struct {
        uint16_t port;
        const char *name;
    } known[] = {
        {20, "ftp-data"},     {21, "ftp"},         {22, "ssh"},          {23, "telnet"},
        {25, "smtp"},         {53, "dns"},         {67, "dhcp"},         {68, "dhcp"},
        {69, "tftp"},         {80, "http"},        {88, "kerberos"},     {110, "pop3"},
        {111, "rpc"},         {119, "nntp"},       {123, "ntp"},         {135, "epmap"},
        {137, "netbios"},     {138, "netbios"},    {139, "netbios"},     {143, "imap"},
        {161, "snmp"},        {162, "snmp"},       {179, "bgp"},         {194, "irc"},
        {389, "ldap"},        {443, "https"},      {445, "smb"},         {465, "smtps"},
        {500, "isakmp"},      {502, "modbus"},     {514, "syslog"},      {515, "printer"},
        {546, "dhcpv6"},      {547, "dhcpv6"},     {554, "rtsp"},        {587, "submission"},
        {631, "ipp"},         {636, "ldaps"},      {853, "dns-tls"},     {873, "rsync"},
        {989, "ftps"},        {990, "ftps"},       {993, "imaps"},       {995, "pop3s"},
        {1080, "socks"},      {1194, "openvpn"},   {1433, "mssql"},      {1521, "oracle"},
        {1883, "mqtt"},       {1900, "ssdp"},      {2049, "nfs"},        {2152, "gtp-u"},
        {3128, "proxy"},      {3306, "mysql"},     {3389, "rdp"},        {3478, "stun"},
        {4500, "ipsec-nat"},  {4789, "vxlan"},     {5060, "sip"},        {5061, "sips"},
        {5222, "xmpp"},       {5353, "mdns"},      {5355, "llmnr"},      {5432, "postgresql"},
        {5672, "amqp"},       {5900, "vnc"},       {6379, "redis"},      {6667, "irc"},
        {8080, "http-alt"},   {8443, "https-alt"}, {9092, "kafka"},      {9100, "printer"},
        {11211, "memcached"}, {27017, "mongodb"},  {51820, "wireguard"},
    };
    for (size_t i = 0; i < WS_ARRAY_SIZE(known); i++)
        if (known[i].port == port)
            return known[i].name;
    return NULL;
}
