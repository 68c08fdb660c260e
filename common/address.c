#include "common/address.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

enum verdict {
    PUBLIC,
    PRIVATE,
    NEVER
};

struct range4 {
    uint32_t network;
    int bits;
    enum verdict verdict;
};

static enum verdict judge4(uint32_t address)
{
    static const struct range4 ranges[] = {
        {0x00000000, 8, NEVER},    /* this network */
        {0x0a000000, 8, PRIVATE},  /* 10/8 */
        {0x64400000, 10, PRIVATE}, /* 100.64/10, carrier-grade NAT */
        {0x7f000000, 8, PRIVATE},  /* loopback */
        {0xa9fe0000, 16, NEVER},   /* 169.254/16, link-local: cloud metadata */
        {0xac100000, 12, PRIVATE}, /* 172.16/12 */
        {0xc0000000, 24, NEVER},   /* 192.0.0/24, protocol assignments */
        {0xc0a80000, 16, PRIVATE}, /* 192.168/16 */
        {0xc6120000, 15, PRIVATE}, /* 198.18/15, benchmarks */
        {0xe0000000, 4, NEVER},    /* multicast */
        {0xf0000000, 4, NEVER},    /* reserved, broadcast */
    };
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        uint32_t mask = ~UINT32_C(0) << (32 - ranges[i].bits);
        if ((address & mask) == ranges[i].network)
            return ranges[i].verdict;
    }
    return PUBLIC;
}

static uint32_t word(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static enum verdict judge6(const unsigned char *a)
{
    static const unsigned char zero[16] = {0};
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    static const unsigned char nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    if (memcmp(a, mapped, 12) == 0 || memcmp(a, nat64, 12) == 0)
        return judge4(word(a + 12));
    if (memcmp(a, zero, 15) == 0)
        return a[15] == 1 ? PRIVATE : NEVER; /* ::1 and :: */
    if (memcmp(a, zero, 12) == 0)
        return judge4(word(a + 12)); /* IPv4-compatible */
    if (a[0] == 0x20 && a[1] == 0x02)
        return judge4(word(a + 2)); /* 6to4 */
    if (a[0] == 0xfe && (a[1] & 0xc0) == 0x80)
        return NEVER; /* link-local */
    if ((a[0] & 0xfe) == 0xfc)
        return PRIVATE; /* unique-local; AWS metadata fd00:ec2::254 is judged below */
    return a[0] == 0xff ? NEVER : PUBLIC;
}

bool address_allowed(const struct sockaddr *address, bool allow_private)
{
    static const unsigned char aws_metadata[16] = {0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0,    0,
                                                   0,    0,    0,    0,    0, 0, 0x02, 0x54};
    enum verdict verdict = NEVER;
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof(v4));
        verdict = judge4(ntohl(v4.sin_addr.s_addr));
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof(v6));
        verdict = memcmp(v6.sin6_addr.s6_addr, aws_metadata, 16) == 0
                      ? NEVER
                      : judge6(v6.sin6_addr.s6_addr);
    }
    return verdict == PUBLIC || (verdict == PRIVATE && allow_private);
}
