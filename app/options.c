/* SPDX-License-Identifier: BSD-3-Clause */
/* The native commands' options. */
#include "app/options.h"

#include <stdlib.h>
#include <string.h>

#define AT(field) offsetof(struct options, field)
#define GROUP(title) {"", 0, WS_OPT_FLAG, NULL, CMD_ALL, 0, title}

enum {
    FILE_OUT = CMD_EXTRACT | CMD_STREAMS | CMD_LIVE,
    STREAM_OUT = CMD_STREAMS | CMD_LIVE,
    PCAP_OUT = CMD_EXTRACT | CMD_LIVE,
};

const struct ws_opt options_table[] = {
    GROUP("Input"),
    {"read", 'r', WS_OPT_LIST, "FILE", CMD_FILES | CMD_REPLAY, AT(input),
     "read this capture too (pcap or pcapng, also gz, zst, xz, bz2, zip); - is standard input"},
    {"continue", 0, WS_OPT_LIST, "FILE", CMD_FILES, AT(resume),
     "read this capture after all others, only to complete the flows that are still open"},
    {"time-shift", 0, WS_OPT_STRING, "[-]TIME", CMD_ALL, AT(time_shift), "add this to every packet's time"},
    {"dev", 0, WS_OPT_LIST, "DEVARGS", CMD_CAPTURE, AT(dev),
     "capture from this DPDK device: a PCI address or a vdev string such as net_af_packet0,iface=eth1; repeatable"},
    {"interface", 'i', WS_OPT_LIST, "IFACE", CMD_CAPTURE, AT(iface),
     "capture from this kernel interface through libpcap (also any); repeatable"},
    {"packet-max", 0, WS_OPT_U64, "N", CMD_ALL, AT(packet_max),
     "stop after N packets, counted before any filter"},
    {"duration", 0, WS_OPT_DURATION, "TIME", CMD_LIVE, AT(duration), "stop after this time"},
    GROUP("Selection (same kind: or; different kinds: and)"),
    {"filter", 'f', WS_OPT_STRING, "EXPR", CMD_ALL, AT(filter_text),
     "pcap-filter expression on the outer frame; the same as words after --"},
    {"flow", 0, WS_OPT_LIST, "ID", CMD_FILES, AT(flow), "this FlowID's connection, both directions"},
    {"one-way", 0, WS_OPT_FLAG, NULL, CMD_EXTRACT | CMD_STREAMS, AT(one_way), "with --flow or --tuple: that direction only"},
    {"port", 0, WS_OPT_LIST, "[PROTO,]LO[-HI]", CMD_ALL, AT(port), "either port in this range"},
    {"not-port", 0, WS_OPT_LIST, "[PROTO,]LO[-HI]", CMD_ALL, AT(not_port), "neither port in this range, whatever else selects the flow"},
    {"any", 0, WS_OPT_FLAG, NULL, CMD_ALL, AT(any_kind), "different kinds: or, too"},
    {"host", 0, WS_OPT_LIST, "ADDR[/N]", CMD_ALL, AT(host), "either address is, or is in, this one"},
    {"tuple", 0, WS_OPT_LIST, "PROTO,A:P,B:P", CMD_ALL, AT(tuple),
     "this connection, e.g. tcp,10.0.0.1:80,10.0.0.2:4000 or tcp,[2001:db8::1]:80,[2001:db8::2]:4000"},
    {"community-id", 0, WS_OPT_LIST, "1:HASH", CMD_ALL, AT(community_id), "this Community ID"},
    {"after", 0, WS_OPT_STRING, "TIME", CMD_ALL, AT(after),
     "packets at or after: epoch seconds or 2026-01-31T12:00:00[.fraction][Z|+hh:mm]"},
    {"before", 0, WS_OPT_STRING, "TIME", CMD_ALL, AT(before), "packets before"},
    GROUP("Listing"),
    {"top", 0, WS_OPT_U64_OR_0, "N", CMD_FLOWS, AT(top), "show the first N conversations in the order of --sort (default 50; --json and --csv: all)"},
    {"all", 0, WS_OPT_FLAG, NULL, CMD_FLOWS, AT(all), "show all conversations"},
    {"sort", 0, WS_OPT_CHOICE, "bytes|packets|start|duration|id", CMD_FLOWS, AT(sort),
     "order of the list, largest first; start and id ascend (default bytes; all of --json and --csv: id)"},
    {"packets-min", 0, WS_OPT_U64_OR_0, "N", CMD_FLOWS, AT(packets_min), "only conversations of at least N packets"},
    {"json", 0, WS_OPT_FLAG, NULL, CMD_ALL | CMD_REPAIR, AT(json), "results as JSON on standard output, an object a line"},
    {"csv", 0, WS_OPT_FLAG, NULL, CMD_FLOWS, AT(csv), "the list as CSV"},
    GROUP("Output"),
    {"out", 'o', WS_OPT_STRING, "OUT", CMD_EXTRACT | CMD_STREAMS, AT(out),
     "extract: FILE.pcap, FILE.pcapng, or - for standard output; streams: a directory, or - for all of them on standard output as they come"},
    {"out", 'o', WS_OPT_STRING, "OUT", CMD_REPAIR, AT(out),
     "write here (- is standard output; default: FILE.part becomes FILE)"},
    {"in-place", 0, WS_OPT_FLAG, NULL, CMD_REPAIR, AT(in_place), "cut FILE itself instead"},
    {"pcap", 0, WS_OPT_STRING, "FILE", CMD_LIVE, AT(pcap), "write packets to FILE (pcapng when it ends in .pcapng, else pcap; - is standard output)"},
    {"streams", 0, WS_OPT_STRING, "DIR", CMD_LIVE, AT(streams), "write streams to DIR, or all to standard output (-) as they come"},
    {"flows", 0, WS_OPT_STRING, "FILE", CMD_LIVE, AT(flows_out), "write a flow record a line to FILE as flows end (JSON; - is standard output)"},
    {"rotate-size", 0, WS_OPT_SIZE, "SIZE", STREAM_OUT, AT(rotate_size), "begin a new packet file, or segment of an archive, after SIZE bytes (archive: default 1G)"},
    {"rotate-time", 0, WS_OPT_DURATION, "TIME", CMD_LIVE, AT(rotate_time), "begin a new packet file after this time"},
    {"format", 0, WS_OPT_CHOICE, "raw|headers|headers32|chunks|json|pcap|archive", STREAM_OUT, AT(format),
     "what a stream file holds (default raw: the bytes alone); archive: all streams go to few files, which streams and flows read back"},
    {"template", 'T', WS_OPT_STRING, "TEMPLATE", STREAM_OUT, AT(template),
     "file names: %A %B addresses, %a %b ports, %E %e MACs, %T %t %D start time, %V %v VLAN, %P protocol, %I %i device and its port, %C %c %# counter, %N %K %M %G %S connection number, %% (default %A.%a-%B.%b%V%v%C%c)"},
    {"number-from-zero", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(number_from_zero),
     "%N %K %M %G %S count streams from 0, in the order of their first SYN or byte, as tcpflow does (default: the FlowID)"},
    {"no-colon", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(no_colon), "replace : in file names by _"},
    {"separate", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(separate),
     "with --format chunks or json: a file a direction instead of one a connection"},
    {"joined", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(joined),
     "with --format raw: both directions in one file a connection, as the bytes come"},
    {"json-ns", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(json_ns), "with --format json: times with 9 decimals instead of 5"},
    {"missing-text", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(missing_text),
     "with --format json: [N bytes missing] in the data too, not only as a field"},
    {"local-time", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(local_time), "dates in file names are the host's time (TZ), not UTC"},
    {"metadata", 0, WS_OPT_CHOICE, "text|json", STREAM_OUT, AT(metadata),
     "a file NAME-metadata.txt or .json of each connection: its packets, bytes and changes of side"},
    {"metadata-dir", 0, WS_OPT_STRING, "DIR", STREAM_OUT, AT(metadata_dir),
     "with streams on standard output (-): the directory of the metadata"},
    {"rest", 0, WS_OPT_STRING, "FILE", STREAM_OUT, AT(rest),
     "write the packets that were not taken as TCP to FILE (pcap)"},
    {"udp", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(udp), "write UDP payloads too"},
    {"all-ip", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(all_ip), "write payloads of every IP protocol"},
    {"no-tcp", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(no_tcp), "write no TCP streams"},
    {"gaps", 0, WS_OPT_CHOICE, "zeros|skip|text", STREAM_OUT, AT(gaps),
     "a missing range becomes zeros (a sparse hole), nothing, or [N bytes missing] (default zeros; --joined: text)"},
    {"gaps-file", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(gaps_file), "list a stream's gaps in NAME.gaps"},
    {"holes-max", 0, WS_OPT_SIZE_OR_0, "SIZE", STREAM_OUT, AT(holes_max),
     "at most so many hole bytes in a file; later gaps are skipped (default 1G; 0: no limit)"},
    {"shed-keep", 0, WS_OPT_SIZE_OR_0, "SIZE", CMD_LIVE, AT(shed_keep),
     "when blocks get short, leave out bytes of long streams first: the first SIZE of each direction go last (default 16K; 0: as they come)"},
    {"flush", 0, WS_OPT_DURATION, "TIME", FILE_OUT, AT(flush), "bytes reach files after this time at most (default 1s; capture 100ms)"},
    {"size-min", 0, WS_OPT_SIZE_OR_0, "SIZE", STREAM_OUT, AT(size_min), "no file for a stream of at most SIZE bytes (default 0)"},
    {"empty-records", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(empty_records),
     "with --format headers or headers32: a record of length 0 for each TCP packet without payload, once there was data"},
    {"udp-header", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(udp_header), "a datagram's 8-byte UDP header stands before its payload"},
    {"part", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(part), "write NAME.part and rename it when the stream ends"},
    {"us", 0, WS_OPT_FLAG, NULL, FILE_OUT, AT(us), "pcap files with microsecond stamps (default nanosecond)"},
    {"us-as-input", 0, WS_OPT_FLAG, NULL, FILE_OUT, AT(us_as_input),
     "the same when the first input has no finer ones"},
    {"snaplen", 0, WS_OPT_SIZE_OR_0, "N", FILE_OUT, AT(snaplen), "keep at most N bytes of each packet (default 0: all)"},
    {"chart", 0, WS_OPT_STRING, "FILE.pdf", CMD_ALL, AT(chart),
     "draw the traffic on a page: totals, throughput over time by port, top addresses and ports"},
    {"chart-addresses", 0, WS_OPT_U64, "N", CMD_ALL, AT(chart_addresses),
     "source and destination addresses that the chart tells apart exactly (default 64K each)"},
    {"chart-list", 0, WS_OPT_FLAG, NULL, CMD_ALL, AT(chart_list),
     "with --chart: print the addresses and ports with most bytes as text too, 100 of each"},
    {"ssids", 0, WS_OPT_FLAG, NULL, CMD_ALL, AT(ssids),
     "list the wireless networks that beacons and probe responses tell of (IEEE 802.11 captures); with --report: there"},
    {"ssids-bad-fcs", 0, WS_OPT_FLAG, NULL, CMD_ALL, AT(ssids_bad_fcs), "of these, take also frames with a wrong check sequence"},
    {"overwrite", 0, WS_OPT_FLAG, NULL, CMD_ALL | CMD_REPAIR, AT(overwrite), "replace existing output (default: refuse)"},
    {"fsync", 0, WS_OPT_STRING, "WHEN", FILE_OUT, AT(fsync), "none, close, or a number of seconds (default none)"},
    {"open-files", 0, WS_OPT_U64, "N", FILE_OUT, AT(open_files), "files open at once (default: what the system allows)"},
    {"direct", 0, WS_OPT_CHOICE, "auto|on|off", CMD_LIVE, AT(direct), "--pcap: past the page cache (auto: live devices, where the file system can)"},
    {"backend", 0, WS_OPT_CHOICE, "auto|uring|plain", FILE_OUT, AT(backend), "how files are written"},
    GROUP("Stream files as segments come, and beside them"),
    {"order", 0, WS_OPT_CHOICE, "stream|arrival", STREAM_OUT, AT(order),
     "bytes go to the file in stream order, each once; or as segments come, each to its offset, the last copy winning (default stream; --console: arrival)"},
    {"split-gap", 0, WS_OPT_SIZE_OR_0, "SIZE", STREAM_OUT, AT(split_gap),
     "arrival: a segment further than this from the one before begins a new file (default: never)"},
    {"stream-max", 0, WS_OPT_SIZE_OR_0, "SIZE", STREAM_OUT, AT(stream_max), "write no bytes of a stream beyond SIZE; 0 makes empty files"},
    {"findx", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(findx), "list a stream's packets in NAME.findx: offset|time|length"},
    {"findx-ns", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(findx_ns), "the same with nanoseconds"},
    {"strip", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(strip), "bytes that are not printable, CR or LF become dots"},
    {"number-existing", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(number_existing),
     "where a file exists, write NAMEc1, NAMEc2, ... (default: refuse)"},
    GROUP("Finished stream files"),
    {"md5", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(md5), "MD5 of each stream file and body, for --report and --json"},
    {"http", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(http), "write the bodies of HTTP/1 responses, decoded, to NAME-HTTPBODY-NNN.EXT"},
    {"http-raw", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(http_raw), "leave bodies compressed"},
    {"http-requests", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(http_requests), "write the bodies of requests too"},
    {"http-max", 0, WS_OPT_SIZE, "SIZE", STREAM_OUT, AT(http_max), "at most SIZE bytes of a decoded body (default: no limit but on bombs)"},
    {"http-names", 0, WS_OPT_CHOICE, "new|old", STREAM_OUT, AT(http_names),
     "names of bodies: old is NAME-HTTP, NAME-HTTPBODY and NAME-HTTPBODY-GZIP (default new)"},
    {"report", 0, WS_OPT_STRING, "FILE", STREAM_OUT, AT(report), "a DFXML report (XML) of all TCP streams and their files; - is standard output"},
    {"dfxml", 0, WS_OPT_CHOICE, "tcpflow|strict", STREAM_OUT, AT(dfxml), "its layout: tcpflow's, or what the DFXML schema allows (default tcpflow)"},
    {"on-close", 0, WS_OPT_STRING, "COMMAND", STREAM_OUT, AT(on_close), "run COMMAND PATH for each finished stream file, 10 at once at most"},
    {"http-command", 0, WS_OPT_STRING, "COMMAND", STREAM_OUT, AT(http_command), "the same for each HTTP body"},
    {"alert-fd", 0, WS_OPT_U64_OR_0, "N", STREAM_OUT, AT(alert_fd), "write a line to descriptor N when a stream file is opened or closed"},
    {"http-alert-fd", 0, WS_OPT_U64_OR_0, "N", STREAM_OUT, AT(http_alert_fd), "the same for HTTP bodies"},
    {"python", 0, WS_OPT_STRING, "PATH:MODULE:FUNCTION", STREAM_OUT, AT(python),
     "call a python function with each finished stream; what it returns goes to the report"},
    GROUP("Console"),
    {"console", 0, WS_OPT_CHOICE, "text|hex|json", STREAM_OUT, AT(console),
     "print payloads on standard output, a packet at a time"},
    {"console-out", 0, WS_OPT_STRING, "FILE", STREAM_OUT, AT(console_out), "print to FILE instead"},
    {"console-prefix", 0, WS_OPT_STRING, "TEXT", STREAM_OUT, AT(console_prefix), "put TEXT before the names in headers"},
    {"no-header", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(no_header), "text, hex: without the stream's name before each packet"},
    {"no-newline", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(no_newline), "without a newline after each packet"},
    {"binary", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(binary), "text: bytes as they are (default: dots for what is not printable)"},
    {"color", 0, WS_OPT_FLAG, NULL, STREAM_OUT, AT(color), "client blue, server red"},
    {"lock", 0, WS_OPT_STRING, "NAME", STREAM_OUT, AT(lock), "hold the POSIX semaphore NAME while printing"},
    GROUP("Decoding and reassembly"),
    {"overlap", 0, WS_OPT_CHOICE, "first|last|bsd|linux|windows|solaris|old-linux", CMD_ALL, AT(overlap),
     "which copy of overlapping bytes wins (default first)"},
    {"verify-checksums", 0, WS_OPT_FLAG, NULL, CMD_ALL, AT(verify_checksums), "refuse segments with a wrong checksum"},
    {"tcp-udp-ports", 0, WS_OPT_FLAG, NULL, CMD_ALL, AT(tcp_udp_ports),
     "ports of TCP and UDP only: SCTP, DCCP and UDP-Lite are IP payload between two hosts"},
    {"no-tunnels", 0, WS_OPT_FLAG, NULL, CMD_ALL, AT(no_tunnels), "do not look into tunnels"},
    {"ignore-vlan", 0, WS_OPT_FLAG, NULL, CMD_ALL, AT(no_vlan_key), "the same tuple in two VLANs is one flow (asymmetric VLANs)"},
    {"idle-timeout", 0, WS_OPT_DURATION, "TIME", CMD_ALL, AT(idle_timeout), "a flow ends after this silence (default 2m; established TCP 1h)"},
    {"frag-timeout", 0, WS_OPT_DURATION, "TIME", CMD_ALL, AT(frag_timeout), "fragments are given up after this time (default 60s)"},
    {"flows-max", 0, WS_OPT_U64, "N", CMD_ALL, AT(flows_max), "flows a worker tracks at once (default 4M; live 1M)"},
    {"records-max", 0, WS_OPT_U64, "N", CMD_FILES, AT(records_max),
     "flow records and stream lines a worker keeps for the end (default 16M, some 300 bytes each)"},
    {"held-max", 0, WS_OPT_SIZE, "SIZE", CMD_ALL, AT(held_max), "out-of-order bytes a worker holds (default 256M)"},
    {"held-max-stream", 0, WS_OPT_SIZE, "SIZE", CMD_ALL, AT(dir_held_max), "out-of-order bytes of one stream (default 16M)"},
    {"jump-max", 0, WS_OPT_SIZE, "SIZE", CMD_ALL, AT(jump_max), "a segment further ahead is refused (default 16M)"},
    {"frag-max", 0, WS_OPT_SIZE, "SIZE", CMD_ALL, AT(frag_max), "fragment bytes held (default 64M)"},
    GROUP("Identity of flows"),
    {"key-mac", 0, WS_OPT_FLAG, NULL, CMD_ALL, AT(key_mac), "MAC addresses belong to the identity of a flow"},
    {"key-device", 0, WS_OPT_FLAG, NULL, CMD_ALL, AT(key_device), "so does the device that captured (its number, or as a trailer says)"},
    {"device-vlan", 0, WS_OPT_FLAG, NULL, CMD_ALL, AT(device_vlan), "with --key-device: the outer VLAN is the device (see also --ignore-vlan)"},
    {"per-tuple", 0, WS_OPT_FLAG, NULL, CMD_ALL, AT(per_tuple),
     "a flow never ends: a later connection of the same tuple keeps its FlowID, and its stream is appended to the same file"},
    {"tcp-udp-only", 0, WS_OPT_FLAG, NULL, CMD_ALL, AT(tcp_udp_only), "packets of other protocols belong to no flow and get no FlowID"},
    {"trailer", 0, WS_OPT_CHOICE, "none|metamako|metamako-double", CMD_ALL, AT(trailer),
     "take time and device from a trailer of each frame"},
    {"trailer-offset", 0, WS_OPT_STRING, "BYTES", CMD_ALL, AT(trailer_offset),
     "the trailer begins so many bytes after the 20th last captured one, e.g. 4 when the last FCS was not captured (default: found out)"},
    GROUP("Running"),
    {"cpu", 0, WS_OPT_LIST, "N", CMD_ALL, AT(cpu), "run on this CPU only; repeatable"},
    {"workers", 0, WS_OPT_U64, "N", CMD_ALL, AT(workers), "worker threads (default 1)"},
    {"writers", 0, WS_OPT_U64, "N", FILE_OUT, AT(writers),
     "writer threads: outputs are dealt round, those left share stream files (default 1; `streams`: 2 where that can be)"},
    {"blocks", 0, WS_OPT_U64, "N", FILE_OUT, AT(blocks), "blocks of each output and worker (default 64)"},
    {"block-size", 0, WS_OPT_SIZE, "SIZE", FILE_OUT, AT(block_bytes), "size of a block (default 1M)"},
    {"hugepages", 0, WS_OPT_FLAG, NULL, CMD_FILES, AT(hugepages), "ask for reserved hugepages"},
    {"eal", 0, WS_OPT_STRING, "ARGS", CMD_LIVE, AT(eal), "arguments for DPDK's EAL, passed through"},
    {"queues", 0, WS_OPT_U64, "N", CMD_CAPTURE, AT(queues), "receive queues a device (default: the workers)"},
    {"descriptors", 0, WS_OPT_U64, "N", CMD_CAPTURE, AT(descriptors), "descriptors a queue"},
    {"rate", 0, WS_OPT_SIZE, "SIZE", CMD_LIVE, AT(rate), "take at most SIZE bytes a second from each queue: to try what a server keeps up with (net_pcap,infinite_rx=1)"},
    {"mbufs", 0, WS_OPT_U64, "N", CMD_LIVE, AT(mbufs), "packet buffers a device"},
    {"mtu", 0, WS_OPT_U64, "BYTES", CMD_CAPTURE, AT(mtu), "set the device's MTU (jumbo frames)"},
    {"no-promiscuous", 0, WS_OPT_FLAG, NULL, CMD_CAPTURE, AT(no_promiscuous), "do not ask for promiscuous mode"},
    {"drain", 0, WS_OPT_DURATION, "TIME", CMD_ALL, AT(drain), "how long outputs may take after the first Ctrl-C (default 30s)"},
    {"user", 'U', WS_OPT_STRING, "USER", CMD_ALL, AT(user), "become this user once inputs and outputs are open"},
    {"chroot", 0, WS_OPT_STRING, "DIR", CMD_ALL, AT(chroot), "with -U: make DIR the root directory, too"},
    {"stats", 0, WS_OPT_FLAG, NULL, CMD_ALL, AT(stats), "print all counters and the ledger's equations at the end"},
    {"stats-json", 0, WS_OPT_STRING, "FILE", CMD_ALL, AT(stats_json), "the same as JSON to FILE (- is standard error)"},
    {"stats-interval", 0, WS_OPT_DURATION, "TIME", CMD_ALL, AT(stats_interval),
     "a line of statistics on standard error each TIME: rates, drops, occupancy, when drops begin"},
    {"stats-interval-json", 0, WS_OPT_STRING, "FILE", CMD_ALL, AT(stats_interval_json),
     "the same as an object a line to FILE instead (- is standard error; every second unless --stats-interval says otherwise)"},
    {"quiet", 'q', WS_OPT_FLAG, NULL, CMD_ALL | CMD_REPAIR, AT(quiet), "no progress, no summary"},
    {"verbose", 'v', WS_OPT_FLAG, NULL, CMD_ALL, AT(verbose), "more messages"},
    {"help", 'h', WS_OPT_FLAG, NULL, CMD_ALL | CMD_REPAIR, AT(help), "this text"},
    {NULL, 0, WS_OPT_FLAG, NULL, 0, 0, NULL},
};

const struct command_info commands[] = {
    {CMD_FLOWS, "flows", "flows [options] FILE... [-- filter expression]",
     "list the conversations of captures"},
    {CMD_EXTRACT, "extract", "extract [options] FILE... -o OUT [-- filter expression]",
     "write chosen packets to one pcap or pcapng file"},
    {CMD_STREAMS, "streams", "streams [options] FILE... -o DIR [-- filter expression]",
     "write TCP (and other) streams to files"},
    {CMD_CAPTURE, "capture", "capture (--dev DEVARGS | -i IFACE)... [options] [-- filter expression]",
     "the same from live devices"},
    {CMD_REPLAY, "replay", "replay [options] FILE... [-- filter expression]",
     "the same from files through DPDK's net_pcap, as if live"},
    {CMD_REPAIR, "repair", "repair [options] FILE...",
     "trim damaged or unfinished captures (FILE.part) to what is valid"},
    {0, NULL, NULL, NULL},
};

/* Joins the words of a filter expression with blanks. NULL when memory is out. */
static char *join_words(int n, char **word)
{
    size_t len = 1;
    for (int i = 0; i < n; i++)
        len += strlen(word[i]) + 1;
    char *text = malloc(len);
    if (!text)
        return NULL;
    char *at = text;
    for (int i = 0; i < n; i++)
        at += sprintf(at, "%s%s", i ? " " : "", word[i]);
    *at = '\0';
    return text;
}

void options_defaults(struct options *o)
{
    memset(o, 0, sizeof(*o));
    o->workers = 1;
    o->writers = WS_UNSET;
    o->top = WS_UNSET;
    o->sort = -1;
    o->alert_fd = o->http_alert_fd = WS_UNSET;
    o->gaps = -1;
    o->metadata = -1;
    o->holes_max = UINT64_C(1) << 30;
    o->order = o->console = -1;
    o->shed_keep = o->split_gap = o->stream_max = WS_UNSET;
    o->blocks = 64;
    o->block_bytes = 1 << 20;
}

int options_parse(struct options *o, enum command cmd, const char *name, int argc, char **argv)
{
    char err[256];
    int rest;

    options_defaults(o);
    o->program = name;
    if (ws_opts_parse(options_table, cmd, argc, (const char *const *)argv, o, &o->input, &rest, err, sizeof(err)) < 0) {
        fprintf(stderr, "wirespool %s: %s (see wirespool %s --help)\n", name, err, name);
        return 2;
    }
    if (rest < argc) {
        if (o->filter_text) {
            fprintf(stderr, "wirespool %s: give a filter by -f or after --, not both\n", name);
            return 2;
        }
        o->filter = join_words(argc - rest, argv + rest);
    } else if (o->filter_text) {
        o->filter = strdup(o->filter_text);
    }
    if ((rest < argc || o->filter_text) && !o->filter) {
        fprintf(stderr, "wirespool %s: out of memory for the filter\n", name);
        return 3;
    }
    if (o->chroot && !o->user) {
        fprintf(stderr, "wirespool %s: --chroot needs -U: root can leave a chroot\n", name);
        return 2;
    }
    return 0;
}

void options_free(struct options *o)
{
    free(o->filter);
    o->filter = NULL;
}
