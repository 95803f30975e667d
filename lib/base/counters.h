/* SPDX-License-Identifier: BSD-3-Clause */
/* The one table of counters: every packet and byte that is not delivered has a row with its cause.
 *
 * Each thread owns one struct ws_counters and is its only writer; any thread may read it. The
 * ledger equations over these rows are checked by engine/ledger.c (docs/architecture.md).
 */
#ifndef WS_BASE_COUNTERS_H
#define WS_BASE_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

/* X(ID, "name", "unit", "help") */
#define WS_COUNTER_TABLE(X)                                                                        \
    /* receive: each packet that a source gave has one fate */                                     \
    X(RX_PACKETS, "rx_packets", "packets", "packets received from sources")                        \
    X(RX_BYTES, "rx_bytes", "bytes", "captured bytes received from sources")                       \
    X(RX_WIRE_BYTES, "rx_wire_bytes", "bytes", "original bytes of the packets received")           \
    X(PORT_MISSED, "port_missed", "packets", "dropped by the device (imissed)")                    \
    X(PORT_ERRORS, "port_errors", "packets", "receive errors of the device (ierrors)")             \
    X(PORT_NOMBUF, "port_nombuf", "packets", "lost: no buffer in the pool (rx_nombuf)")            \
    X(PORT_CHAINED, "port_chained", "packets", "came in several buffers and were copied together") \
    X(PORT_CHAIN_CUT, "port_chain_cut", "packets", "of those, cut: too long for the burst's buffer") \
    X(FILTERED, "filtered", "packets", "rejected by the filter expression or a time range")        \
    X(NON_FLOW, "non_flow", "packets", "no IP datagram: ARP, STP, ...; of a protocol left out by --tcp-udp-only") \
    X(TRAILER_MISSING, "trailer_missing", "packets", "without the trailer that was asked for: the capture's stamp counts") \
    X(FLOW_PACKETS, "flow_packets", "packets", "counted in a flow")                                \
    X(SHED_STEER, "shed_steer", "packets", "dropped: steering ring or chunk pool full")            \
    X(SHED_OTHER, "shed_other", "packets", "frames of no flow (counted as such) that packet outputs did not get: steering ring full") \
    X(SHED_DATAGRAM, "shed_datagram", "datagrams", "reassembled from fragments, but dropped: steering ring full") \
    X(SHED_FLOW, "shed_flow", "packets", "dropped: flow table full and nothing to evict")          \
    X(NOT_CONTINUED, "not_continued", "packets", "of no open flow, in a file that only completes flows") \
    X(FRAG_HELD, "frag_held", "packets", "fragments whose datagram is still unknown (gauge)")      \
    X(STEERED, "steered", "packets", "handed to another worker by ring")                           \
    X(STEER_COPIED, "steer_copied", "packets", "of those, copied because the source needs the buffer") \
    /* undecodable, by cause */                                                                    \
    X(UNDEC_LINK_TYPE, "undec_link_type", "packets", "link type that is not decoded")              \
    X(UNDEC_TRUNC_LINK, "undec_trunc_link", "packets", "too short for its link header")            \
    X(UNDEC_TRUNC_TAG, "undec_trunc_tag", "packets", "cut inside VLAN, MPLS or PPPoE")             \
    X(UNDEC_TRUNC_IP, "undec_trunc_ip", "packets", "cut inside the IP header")                     \
    X(UNDEC_BAD_IP, "undec_bad_ip", "packets", "IP version, header length or total length invalid") \
    X(UNDEC_BAD_EXT, "undec_bad_ext", "packets", "IPv6 extension header chain invalid")            \
    X(UNDEC_TRUNC_L4, "undec_trunc_l4", "packets", "too short for ports or, on the wire, for the transport header")  \
    X(UNDEC_BAD_TCP, "undec_bad_tcp", "packets", "TCP data offset below 5 or past the end")        \
    X(UNDEC_BAD_UDP, "undec_bad_udp", "packets", "UDP length invalid")                             \
    X(UNDEC_BAD_TUNNEL, "undec_bad_tunnel", "packets", "tunnel header invalid")                    \
    X(UNDEC_DEPTH, "undec_depth", "packets", "nested deeper than the limit")                       \
    X(UNDEC_OFFSET, "undec_offset", "packets", "headers reach beyond 65,535 bytes")                \
    X(UNDEC_FRAGMENT, "undec_fragment", "packets", "fragments whose flow never became known")      \
    X(DATAGRAM_UNDECODABLE, "datagram_undecodable", "datagrams", "reassembled from fragments, but not decodable") \
    /* fragments, by cause */                                                                      \
    X(FRAG_PACKETS, "frag_packets", "packets", "fragments seen (also counted by their fate)")      \
    X(FRAG_DATAGRAMS, "frag_datagrams", "datagrams", "reassembled from fragments")                 \
    X(FRAG_TIMEOUT, "frag_timeout", "packets", "fragments whose datagram timed out incomplete")    \
    X(FRAG_EVICTED, "frag_evicted", "packets", "fragments evicted because a cap was reached")      \
    X(FRAG_OVERSIZE, "frag_oversize", "packets", "fragments reaching beyond 65,535 bytes")         \
    X(FRAG_INVALID, "frag_invalid", "packets", "fragments with inconsistent sizes or offsets")     \
    X(FRAG_OVERLAP, "frag_overlap", "packets", "fragments overlapping earlier ones")               \
    X(FRAG_DUPLICATE, "frag_duplicate", "packets", "fragments that brought nothing new")           \
    /* flows */                                                                                    \
    X(FLOWS_CREATED, "flows_created", "flows", "flows created")                                    \
    X(FLOWS_SELECTED, "flows_selected", "flows", "of those, wanted by an output")                  \
    X(FLOWS_CLOSED, "flows_closed", "flows", "flows closed for any cause")                         \
    X(FLOWS_IDLE, "flows_idle", "flows", "of those, closed by idle timeout")                       \
    X(FLOWS_REUSED, "flows_reused", "flows", "of those, replaced by a new connection on the tuple") \
    X(FLOW_DIRECTIONS, "flow_directions", "directions", "directions of flows that had a packet: FlowIDs") \
    X(FLOWS_RESTARTED, "flows_restarted", "flows", "new connections that went on with their tuple's flow (--per-tuple)") \
    X(FLOWS_EVICTED_SYN, "flows_evicted_syn", "flows", "evicted unanswered, the table being full") \
    X(FLOWS_EVICTED_CLOSED, "flows_evicted_closed", "flows", "evicted over, kept for late copies, the table being full") \
    X(FLOWS_EVICTED_ANSWERED, "flows_evicted_answered", "flows", "evicted though answered, the table being full") \
    X(FLOWS_EVICTED, "flows_evicted", "flows", "evicted though established, the table being full") \
    X(FLOWS_CROWDED, "flows_crowded", "flows", "of the evicted, those whose hash buckets were full") \
    X(FLOW_RECORDS_LOST, "flow_records_lost", "records", "flow records beyond the record cap or the memory")     \
    /* TCP payload bytes: each seen byte has one fate */                                           \
    X(TCP_SEGMENTS, "tcp_segments", "segments", "TCP segments pushed to reassembly")               \
    X(TCP_BAD_CHECKSUM, "tcp_bad_checksum", "segments", "TCP segments with a wrong checksum")      \
    X(PAYLOAD_SEEN, "payload_seen", "bytes", "captured TCP payload bytes seen")                    \
    X(PAYLOAD_DELIVERED, "payload_delivered", "bytes", "delivered in order")                       \
    X(PAYLOAD_DUPLICATE, "payload_duplicate", "bytes", "already delivered or held, identical range") \
    X(PAYLOAD_OVERLAP, "payload_overlap", "bytes", "lost to the overlap policy (bytes differed)")  \
    X(PAYLOAD_HELD, "payload_held", "bytes", "held out of order (gauge)")                          \
    X(REFUSED_WINDOW, "refused_window", "bytes", "too far ahead of the stream")                    \
    X(REFUSED_BEYOND_FIN, "refused_beyond_fin", "bytes", "beyond the FIN")                         \
    X(REFUSED_CLOSED, "refused_closed", "bytes", "after the connection had ended")                 \
    X(REFUSED_RST, "refused_rst", "bytes", "payload of RST segments")                              \
    X(REFUSED_CHECKSUM, "refused_checksum", "bytes", "wrong checksum (only when verifying)")       \
    X(REFUSED_CAP, "refused_cap", "bytes", "out-of-order pool exhausted")                          \
    X(REFUSED_SYN, "refused_syn", "bytes", "payload on SYN that the handshake did not choose")     \
    X(REFUSED_KEEPALIVE, "refused_keepalive", "bytes", "keep-alive garbage")                       \
    X(REFUSED_BEFORE_START, "refused_before_start", "bytes", "below the start of a midstream pickup") \
    X(REFUSED_NO_SINK, "refused_no_sink", "bytes", "of flows that no output selected")             \
    X(STREAM_BYTES, "stream_bytes", "bytes", "stream length: delivered and gaps")                  \
    X(GAPS, "gaps", "gaps", "holes declared in streams")                                           \
    X(GAPS_CAP, "gaps_cap", "gaps", "of those, because a cap on held bytes was hit")              \
    X(GAP_BYTES, "gap_bytes", "bytes", "bytes in declared holes")                                  \
    X(TCP_OVERLAP_DIFF, "tcp_overlap_diff", "segments", "overlaps whose bytes differed")           \
    X(FIN_IGNORED, "fin_ignored", "segments", "FINs that the peer's ACKs contradict")              \
    X(TCP_POOL_FULL, "tcp_pool_full", "times", "a TCP connection gave up its holes or a second handshake: too many had some") \
    X(UDP_BYTES, "udp_bytes", "bytes", "captured payload bytes of UDP and other protocols")        \
    /* finished stream files (lib/post) */                                                         \
    X(POST_FLOWS, "post_flows", "flows", "finished flows worked on")                              \
    X(POST_SKIPPED, "post_skipped", "flows", "finished flows that digests, bodies, report and commands left out: too many waited") \
    X(POST_UNREADABLE, "post_unreadable", "files", "stream files that could not be read back")     \
    X(POST_REPORT_LOST, "post_report_lost", "objects", "not in the report: memory, or writing it failed") \
    X(POST_RESULTS_LOST, "post_results_lost", "files", "digests and bodies not told: memory, or too many bodies") \
    X(POST_COMMANDS, "post_commands", "commands", "run for finished files")                        \
    X(POST_COMMANDS_FAILED, "post_commands_failed", "commands", "of those, failed; and those that could not be started") \
    X(POST_ALERTS_LOST, "post_alerts_lost", "lines", "not written to an alert descriptor")         \
    X(POST_PYTHON, "post_python", "calls", "of the python function")                               \
    X(POST_PYTHON_FAILED, "post_python_failed", "calls", "of the python function that failed or could not be made") \
    X(HTTP_MESSAGES, "http_messages", "messages", "HTTP responses seen; requests too where asked for")                           \
    X(HTTP_BODIES, "http_bodies", "files", "HTTP bodies written")                                  \
    X(HTTP_BODY_BYTES, "http_body_bytes", "bytes", "in those, decoded")                            \
    X(HTTP_BODIES_LOST, "http_bodies_lost", "files", "HTTP bodies that could not be written")      \
    X(HTTP_FAILED, "http_failed", "flows", "whose HTTP messages could not be gone through: reading or memory") \
    X(HTTP_CUT, "http_cut", "bodies", "HTTP bodies that the stream's end cut")                     \
    X(HTTP_GAP, "http_gap", "bodies", "HTTP bodies with bytes missing inside")                     \
    X(HTTP_BAD_CODING, "http_bad_coding", "bodies", "HTTP bodies whose compressed data do not decode") \
    X(HTTP_LIMITED, "http_limited", "bodies", "HTTP bodies cut: they decode to more than the limit") \
    /* outputs */                                                                                  \
    X(OUT_PACKETS, "out_packets", "packets", "packet records handed to PCAP outputs")              \
    X(OUT_PACKET_BYTES, "out_packet_bytes", "bytes", "captured bytes in those records")            \
    X(OUT_STREAM_PACKETS, "out_stream_packets", "packets", "packet records handed to stream files") \
    X(OUT_STREAM_BYTES, "out_stream_bytes", "bytes", "stream bytes handed to stream outputs")      \
    X(OUT_FILES, "out_files", "files", "files opened")                                             \
    X(SHED_BLOCK_PACKETS, "shed_block_packets", "packets", "not written: no free block for the output") \
    X(SHED_BLOCK_BYTES, "shed_block_bytes", "bytes", "stream bytes not written: no free block")    \
    X(SHED_BULK_BYTES, "shed_bulk_bytes", "bytes", "stream bytes not written: blocks were short, and their streams had had their share") \
    X(SHED_BULK_PACKETS, "shed_bulk_packets", "packets", "not written to the captures of flows: blocks were short, and their files had had their share") \
    X(GAP_RECORDS_LOST, "gap_records_lost", "records", "gaps that the archive does not tell of as such: no free block") \
    X(NAME_TABLE_FULL, "name_table_full", "files", "file names made unique by ordinal, the name table being full") \
    X(OUT_LINK_TYPE, "out_link_type", "packets", "not written: a classic pcap file holds one link type") \
    X(OUT_NAME_FAILED, "out_name_failed", "files", "stream files without a usable name")           \
    X(OUT_SMALL, "out_small", "files", "streams not written, being of --size-min bytes at most")   \
    X(OUT_SMALL_BYTES, "out_small_bytes", "bytes", "stream bytes of those")                        \
    X(OUT_EXISTS, "out_exists", "files", "stream files not written: such a file exists already (--overwrite replaces it)") \
    X(OUT_REPLACED, "out_replaced", "files", "files that existed and were replaced")               \
    X(OUT_CLOSES_LOST, "out_closes_lost", "files", "stream files whose time was not set: no free block to say that they ended") \
    X(FRONT_REFUSED, "front_refused", "bytes", "before the first byte of a file that had been moved too often already") \
    X(STREAM_CUT, "stream_cut", "bytes", "not written, on request: beyond the size limit of stream files") \
    X(HOLE_BYTES_SKIPPED, "hole_bytes_skipped", "bytes", "gaps left out of stream files instead of written as holes") \
    X(CHART_ADDRESSES_FULL, "chart_addresses_full", "times", "the chart's addresses were too many: its counts by address are lower bounds") \
    X(CHART_PORTS_FULL, "chart_ports_full", "times", "a moment of the chart had too many ports: its counts by port are lower bounds") \
    X(BEACONS_BAD, "beacons_bad", "frames", "beacons and probe responses that were cut or invalid (--ssids)") \
    X(BEACONS_BAD_FCS, "beacons_bad_fcs", "frames", "beacons and probe responses with a wrong check sequence (--ssids)") \
    X(SSIDS_FULL, "ssids_full", "frames", "beacons and probe responses of networks beyond the table of --ssids") \
    X(WRITE_BYTES, "write_bytes", "bytes", "bytes that reached files")                             \
    X(WRITE_DIRECT, "write_direct_bytes", "bytes", "of those, bytes that went past the page cache")    \
    X(WRITE_CALLS, "write_calls", "calls", "write system calls or submissions")                    \
    X(WRITE_ERRORS, "write_errors", "errors", "failed opens, writes, closes and renames")          \
    X(WRITE_LOST_BYTES, "write_lost_bytes", "bytes", "bytes lost because an output failed")        \
    X(WRITE_LOST_PACKETS, "write_lost_packets", "packets", "packet records lost because an output failed") \
    X(WRITE_LOST_RECORDS, "write_lost_records", "records", "flow records, or pieces of streams in one file, lost because an output failed") \
    X(WRITE_LOST_TRAILERS, "write_lost_trailers", "files", "pcapng files without the statistics at their end, because an output failed") \
    X(WRITE_SUSPENDS, "write_suspends", "times", "an output was suspended")                        \
    X(WRITE_RESUMES, "write_resumes", "times", "an output was resumed")

enum ws_counter {
#define WS_COUNTER_ENUM(id, name, unit, help) WS_C_##id,
    WS_COUNTER_TABLE(WS_COUNTER_ENUM)
#undef WS_COUNTER_ENUM
    WS_C_COUNT
};

struct ws_counter_info {
    const char *name, *unit, *help;
};

/* Names, units and help of all counters, by enum ws_counter. */
extern const struct ws_counter_info ws_counter_info[WS_C_COUNT];

/* Each thread's own counters: one writer, any number of readers. */
struct ws_counters {
    _Atomic uint64_t value[WS_C_COUNT];
};

/* Adds n to a counter of the calling thread's own set (no locked instruction: one writer). */
static inline void ws_count(struct ws_counters *c, enum ws_counter id, uint64_t n)
{
    uint64_t v = atomic_load_explicit(&c->value[id], memory_order_relaxed);
    atomic_store_explicit(&c->value[id], v + n, memory_order_relaxed);
}

/* Sets a counter of the calling thread's own set (gauges and device totals). */
static inline void ws_count_set(struct ws_counters *c, enum ws_counter id, uint64_t n)
{
    atomic_store_explicit(&c->value[id], n, memory_order_relaxed);
}

static inline uint64_t ws_count_get(const struct ws_counters *c, enum ws_counter id)
{
    return atomic_load_explicit(&((struct ws_counters *)(uintptr_t)c)->value[id],
                                memory_order_relaxed);
}

/* Adds every counter of src to dst (dst is the caller's own). */
void ws_counters_add(struct ws_counters *dst, const struct ws_counters *src);

#endif
