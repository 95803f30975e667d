/* SPDX-License-Identifier: BSD-3-Clause */
/* IANA's keywords of IP protocols. */
#include "format/text.h"

/* https://www.iana.org/assignments/protocol-numbers, in capitals; "A/N" without its slash. */
const char *ws_proto_keyword(uint8_t proto)
{
    static const char *const keyword[] = {
        "HOPOPT", "ICMP", "IGMP", "GGP", "IPV4", "ST", "TCP", "CBT", "EGP", "IGP", "BBN-RCC-MON",
        "NVP-II", "PUP", "ARGUS", "EMCON", "XNET", "CHAOS", "UDP", "MUX", "DCN-MEAS", "HMP", "PRM",
        "XNS-IDP", "TRUNK-1", "TRUNK-2", "LEAF-1", "LEAF-2", "RDP", "IRTP", "ISO-TP4", "NETBLT",
        "MFE-NSP", "MERIT-INP", "DCCP", "3PC", "IDPR", "XTP", "DDP", "IDPR-CMTP", "TP++", "IL", "IPV6",
        "SDRP", "IPV6-ROUTE", "IPV6-FRAG", "IDRP", "RSVP", "GRE", "DSR", "BNA", "ESP", "AH", "I-NLSP",
        "SWIPE", "NARP", "MOBILE", "TLSP", "SKIP", "IPV6-ICMP", "IPV6-NONXT", "IPV6-OPTS", NULL, "CFTP",
        NULL, "SAT-EXPAK", "KRYPTOLAN", "RVD", "IPPC", NULL, "SAT-MON", "VISA", "IPCV", "CPNX", "CPHB",
        "WSN", "PVP", "BR-SAT-MON", "SUN-ND", "WB-MON", "WB-EXPAK", "ISO-IP", "VMTP", "SECURE-VMTP",
        "VINES", "TTP", "NSFNET-IGP", "DGP", "TCF", "EIGRP", "OSPFIGP", "SPRITE-RPC", "LARP", "MTP",
        "AX.25", "IPIP", "MICP", "SCC-SP", "ETHERIP", "ENCAP", NULL, "GMTP", "IFMP", "PNNI", "PIM",
        "ARIS", "SCPS", "QNX", "A-N", "IPCOMP", "SNP", "COMPAQ-PEER", "IPX-IN-IP", "VRRP", "PGM", NULL,
        "L2TP", "DDX", "IATP", "STP", "SRP", "UTI", "SMP", "SM", "PTP", "ISIS OVER IPV4", "FIRE",
        "CRTP", "CRUDP", "SSCOPMCE", "IPLT", "SPS", "PIPE", "SCTP", "FC", "RSVP-E2E-IGNORE",
        "MOBILITY HEADER", "UDPLITE", "MPLS-IN-IP", "MANET", "HIP", "SHIM6", "WESP", "ROHC",
    };
    return proto < WS_ARRAY_SIZE(keyword) ? keyword[proto] : NULL;
}
