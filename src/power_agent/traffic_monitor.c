/* Measures when a TCP port was last used for work, in the kernel, for the ports in `ports` alone.
 *
 * A socket filter on packet sockets that are bound to IPv4 and IPv6 but to no interface: it sees what arrives on every
 * interface, loopback too, hands nothing up, and is gone with the process that holds the sockets.
 *
 * Work is payload that arrives for the port, and the acknowledgement of what the port answered to it. The length of the
 * payload is reckoned from the IP header, for Ethernet pads short frames. No work are: packets with the mark of a health
 * check, those from the address of a supervisor's pulse and, on ports that speak HTTP, requests that read only (GET,
 * HEAD, OPTIONS) and the answers to them.
 *
 * One source, two loaders: libbpf takes the object that scripts/bpf makes, BCC compiles this file on the node. It knows
 * only types that the kernel promises to user space, so that the object fits every kernel from 5.2 on.
 */
#ifdef BCC_SEC
#include <uapi/linux/bpf.h>
#else
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
#endif

#define TCP 6
#define SYN 0x02
#define ACK 0x10
#define HEALTH_CHECK 0x50574d41 /* the mark: also in http1.py */
#define PULSE 0x7f000049 /* 127.0.0.73: also in pulse.py */
#define MAX_PORTS 65536
#define MAX_FLOWS 4096

/* Mirrored by traffic.py, host byte order. */
struct usage {
    u64 packets, syns, checks, reads, work_packets, work_bytes, answers;
    u64 last_work_ns; /* on CLOCK_MONOTONIC */
    u64 http;         /* set by user space: the port speaks HTTP */
};

struct flow {
    u8 client[16];
    u16 client_port, port;
};

struct progress {
    u32 acknowledged;
    u32 works;
};

#ifdef BCC_SEC
BPF_F_TABLE("hash", u16, struct usage, ports, MAX_PORTS, BPF_F_NO_PREALLOC);
BPF_TABLE("lru_hash", struct flow, struct progress, flows, MAX_FLOWS);
#define SECTION(name)
#else
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, MAX_PORTS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, u16);
    __type(value, struct usage);
} ports SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, MAX_FLOWS);
    __type(key, struct flow);
    __type(value, struct progress);
} flows SEC(".maps");
#define SECTION(name) SEC(name)
#endif

/* BCC rewrites its calls of a map where they stand and finds none in a macro. */
static __always_inline struct usage *usage_of(u16 *port)
{
#ifdef BCC_SEC
    return ports.lookup(port);
#else
    return bpf_map_lookup_elem(&ports, port);
#endif
}

static __always_inline struct progress *progress_of(struct flow *flow)
{
#ifdef BCC_SEC
    return flows.lookup(flow);
#else
    return bpf_map_lookup_elem(&flows, flow);
#endif
}

static __always_inline void begin(struct flow *flow, struct progress *progress)
{
#ifdef BCC_SEC
    flows.update(flow, progress);
#else
    bpf_map_update_elem(&flows, flow, progress, BPF_ANY);
#endif
}

/* "GET ", "HEAD", "OPTI" */
static __always_inline int reads_only(const u8 *p)
{
    return (p[0] == 'G' && p[1] == 'E' && p[2] == 'T' && p[3] == ' ') ||
           (p[0] == 'H' && p[1] == 'E' && p[2] == 'A' && p[3] == 'D') ||
           (p[0] == 'O' && p[1] == 'P' && p[2] == 'T' && p[3] == 'I');
}

/* bpf_skb_load_bytes and nothing else: the payload of local packets lies in page fragments, where direct access ends. */
SECTION("socket")
int measure(struct __sk_buff *skb)
{
    struct flow flow = {};
    struct progress begun = {};
    u8 ip[20], tcp[14], start[4] = {};
    u32 offset, total, checks = skb->mark == HEALTH_CHECK;

    if (skb->pkt_type != 0) /* PACKET_HOST: not what others are sent, nor what this machine sends */
        return 0;
    if (bpf_skb_load_bytes(skb, 0, ip, 20))
        return 0;
    if (ip[0] >> 4 == 4) {
        if (ip[9] != TCP || (ip[6] & 0x1f) || ip[7]) /* another protocol, or a later fragment */
            return 0;
        offset = (ip[0] & 0xf) * 4;
        total = (u32)ip[2] << 8 | ip[3];
        if (bpf_skb_load_bytes(skb, 12, flow.client, 4))
            return 0;
        checks |= PULSE == ((u32)flow.client[0] << 24 | (u32)flow.client[1] << 16 | (u32)flow.client[2] << 8 |
                            (u32)flow.client[3]);
    } else if (ip[0] >> 4 == 6) {
        u8 next = ip[6], header[4];

        offset = 40;
        total = (u32)ip[4] << 8 | ip[5];
        if (total)
            total += 40;
#pragma unroll
        for (int i = 0; i < 4; i++) { /* hop-by-hop, routing, fragment, destination options */
            if (next != 0 && next != 43 && next != 44 && next != 60)
                break;
            if (bpf_skb_load_bytes(skb, offset, header, 4))
                return 0;
            if (next == 44) {
                if (header[2] || header[3] & 0xf8) /* a later fragment */
                    return 0;
                offset += 8;
            } else
                offset += ((u32)header[1] + 1) * 8;
            next = header[0];
        }
        if (next != TCP || bpf_skb_load_bytes(skb, 8, flow.client, 16))
            return 0;
    } else
        return 0;
    if (bpf_skb_load_bytes(skb, offset, tcp, 14))
        return 0;
    flow.port = (u16)tcp[2] << 8 | tcp[3];
    struct usage *usage = usage_of(&flow.port);
    if (!usage)
        return 0;

    __sync_fetch_and_add(&usage->packets, 1);
    if (checks) {
        __sync_fetch_and_add(&usage->checks, 1);
        return 0;
    }
    if ((tcp[13] & (SYN | ACK)) == SYN)
        __sync_fetch_and_add(&usage->syns, 1);
    flow.client_port = (u16)tcp[0] << 8 | tcp[1];
    u32 acknowledged = (u32)tcp[8] << 24 | (u32)tcp[9] << 16 | (u32)tcp[10] << 8 | tcp[11];
    struct progress *progress = progress_of(&flow);
    if (!total) /* longer than the field can say: the kernel joined segments */
        total = skb->len;
    offset += (tcp[12] >> 4) * 4;
    if (total > offset) {
        begun.acknowledged = acknowledged;
        begun.works = !(usage->http && !bpf_skb_load_bytes(skb, offset, start, 4) && reads_only(start));
        begin(&flow, &begun);
        if (!begun.works) {
            __sync_fetch_and_add(&usage->reads, 1);
            return 0;
        }
        __sync_fetch_and_add(&usage->work_packets, 1);
        __sync_fetch_and_add(&usage->work_bytes, total - offset);
    } else if (progress && progress->works && (tcp[13] & ACK) && progress->acknowledged != acknowledged) {
        progress->acknowledged = acknowledged;
        __sync_fetch_and_add(&usage->answers, 1);
    } else
        return 0;
    usage->last_work_ns = bpf_ktime_get_ns();
    return 0;
}

#ifndef BCC_SEC
char _license[] SEC("license") = "GPL"; /* as the kernel asks for; the source is under the project's licence */
#endif
