#include "common/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "tests/test.h"

static bool allowed(const char *text, bool allow_private)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {0};
    if (strchr(text, ':')) {
        address.v6.sin6_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, text, &address.v6.sin6_addr), 1);
    } else {
        address.v4.sin_family = AF_INET;
        assert_int_equal(inet_pton(AF_INET, text, &address.v4.sin_addr), 1);
    }
    return address_allowed(&address.any, allow_private);
}

static void public_addresses_are_allowed(void **state)
{
    (void)state;
    static const char *const texts[] = {"93.184.216.34", "8.8.8.8", "172.15.255.255", "172.32.0.1",
                                        "2606:2800:220:1::1"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_true(allowed(texts[i], false));
}

static void private_ones_only_where_the_configuration_says_so(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "127.0.0.1",         "127.255.0.1",      "10.0.0.1",    "172.16.0.1",
        "172.31.255.255",    "192.168.1.1",      "100.64.0.1",  "::1",
        "fd12:3456::1",      "::ffff:127.0.0.1", "::127.0.0.1", "198.18.0.1",
        "64:ff9b::10.1.2.3", "2002:7f00:1::1",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_false(allowed(texts[i], false));
        assert_true(allowed(texts[i], true));
    }
}

static void metadata_link_local_and_multicast_never(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "169.254.169.254", "169.254.0.1",     "0.0.0.0",
        "0.1.2.3",         "224.0.0.1",       "240.0.0.1",
        "192.0.0.8",       "255.255.255.255", "::",
        "fe80::1",         "ff02::1",         "::ffff:169.254.169.254",
        "fd00:ec2::254",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_false(allowed(texts[i], true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_addresses_are_allowed),
        cmocka_unit_test(private_ones_only_where_the_configuration_says_so),
        cmocka_unit_test(metadata_link_local_and_multicast_never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
