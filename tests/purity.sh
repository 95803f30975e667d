#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Enforces the layering: pure modules see no DPDK, file, clock or network; includes point down only.
cd "$1/lib" || exit 1
bad=0
complain() { echo "$1"; bad=1; }

# What a module may include, besides itself and the C library.
allowed() {
    case $1 in
    base) echo base ;;
    packet) echo base packet ;;
    frag | flow | tcp) echo base packet $1 ;;
    filter) echo base packet filter ;;
    format) echo base packet format ;;
    http) echo base http ;;
    writer) echo base writer ;;
    source) echo base packet format source ;;
    sink) echo base packet flow tcp format writer sink ;;
    post) echo base packet flow tcp format http writer sink post ;;
    engine) echo base packet frag flow tcp filter format writer source sink engine ;;
    esac
}

for module in base packet frag flow tcp filter format http writer source sink engine post; do
    for file in "$module"/*.[ch]; do
        for inc in $(sed -n 's/^#include "\([a-z_]*\)\/.*/\1/p' "$file" | sort -u); do
            case " $(allowed $module) " in
            *" $inc "*) ;;
            *) complain "$file includes $inc/: $module may not" ;;
            esac
        done
    done
done
for module in base packet frag flow tcp format; do
    for file in "$module"/*.[ch]; do
        case $file in base/log.c) continue ;; esac
        grep -nE '#include *[<"](rte_|unistd|fcntl|sys/|pcap|pthread|netinet|arpa)' "$file" /dev/null &&
            complain "$file: not pure"
        grep -nE '\b(clock_gettime|gettimeofday|fopen|open|read|write|malloc|calloc|realloc|free)\(' "$file" /dev/null |
            grep -vE '^\S+: *(/?\*|//)' | grep -vE '_(open|read|write|free)\(|[a-z]->[a-z_]*\(' &&
            complain "$file: calls what a pure module may not"
    done
done
[ $bad = 0 ] && echo "layers hold"
exit $bad
