/*
 * Where a request may go, when names do not keep still: the resolver of this program is the test's
 * own (libcurl's getaddrinfo finds the one below first).
 */
#include "common/http_out.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/test.h"

static atomic_int n_lookups;
static bool changes; /* the first answer is public, later ones are not */

static struct addrinfo *answer_of(const char *address, uint16_t port, struct addrinfo *next)
{
    struct addrinfo *answer = calloc(1, sizeof(*answer));
    bool v6 = strchr(address, ':') != NULL;
    answer->ai_family = v6 ? AF_INET6 : AF_INET;
    answer->ai_socktype = SOCK_STREAM;
    answer->ai_protocol = IPPROTO_TCP;
    answer->ai_next = next;
    if (v6) {
        struct sockaddr_in6 *to = calloc(1, sizeof(*to));
        to->sin6_family = AF_INET6;
        to->sin6_port = htons(port);
        inet_pton(AF_INET6, address, &to->sin6_addr);
        answer->ai_addr = (struct sockaddr *)to;
        answer->ai_addrlen = sizeof(*to);
    } else {
        struct sockaddr_in *to = calloc(1, sizeof(*to));
        to->sin_family = AF_INET;
        to->sin_port = htons(port);
        inet_pton(AF_INET, address, &to->sin_addr);
        answer->ai_addr = (struct sockaddr *)to;
        answer->ai_addrlen = sizeof(*to);
    }
    return answer;
}

/* 2001:4860:: is public; whether it can be reached does not matter. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    (void)name, (void)hints;
    uint16_t port = service ? (uint16_t)strtol(service, NULL, 10) : 0;
    bool first = atomic_fetch_add(&n_lookups, 1) == 0;
    struct addrinfo *inside = first && changes ? NULL : answer_of("127.0.0.1", port, NULL);
    *out = changes && !first ? inside : answer_of("2001:4860::1", port, inside);
    return 0;
}

void freeaddrinfo(struct addrinfo *answer)
{
    while (answer) {
        struct addrinfo *next = answer->ai_next;
        free(answer->ai_addr);
        free(answer);
        answer = next;
    }
}

struct inside { /* what must not be reached: a listener on loopback */
    int fd;
    uint16_t port;
};

static struct inside listen_inside(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(at);
    struct inside inside = {.fd = socket(AF_INET, SOCK_STREAM, 0)};
    assert_true(inside.fd >= 0);
    assert_int_equal(bind(inside.fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(inside.fd, 4), 0);
    assert_int_equal(getsockname(inside.fd, (struct sockaddr *)&at, &size), 0);
    assert_int_equal(fcntl(inside.fd, F_SETFL, O_NONBLOCK), 0);
    inside.port = ntohs(at.sin_port);
    return inside;
}

static bool was_reached(const struct inside *inside)
{
    int fd = accept(inside->fd, NULL, NULL);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

struct attempt {
    int status;
    bool refused;
    char problem[CURL_ERROR_SIZE];
};

static struct attempt ask(uint16_t port, bool allow_private)
{
    struct err err = {0};
    struct http_out http;
    char url[64];
    snprintf(url, sizeof(url), "http://hook.example:%u/", port);
    struct http_target target = {
        .url = url, .method = "GET", .allow_private = allow_private, .timeout_ms = 700};
    assert_int_equal(http_out_init(&http, "receiver oncall", &err), 0);
    assert_int_equal(http_out_prepare(&http, &target, &err), 0);
    struct attempt attempt = {0};
    attempt.status = http_out_status(&http, curl_easy_perform(http.curl));
    attempt.refused = http.refused_address;
    snprintf(attempt.problem, sizeof(attempt.problem), "%s", http.problem);
    http_out_finish(&http);
    return attempt;
}

static void begin(bool names_change)
{
    atomic_store(&n_lookups, 0);
    changes = names_change;
}

static void a_name_that_moves_inside_between_two_attempts_is_refused(void **state)
{
    (void)state;
    struct inside inside = listen_inside();
    begin(true);

    struct attempt first = ask(inside.port, false), second = ask(inside.port, false);

    assert_false(first.refused);
    assert_int_equal(first.status, 0);
    assert_true(second.refused);
    assert_non_null(strstr(second.problem, "the address is private or reserved"));
    assert_int_equal(n_lookups, 2); /* one an attempt: what is judged is what is connected to */
    assert_false(was_reached(&inside));
    close(inside.fd);
}

static void of_several_addresses_of_a_name_each_is_judged(void **state)
{
    (void)state;
    struct inside inside = listen_inside();
    begin(false);

    struct attempt attempt = ask(inside.port, false);

    assert_int_equal(attempt.status, 0);
    assert_int_equal(n_lookups, 1);
    assert_false(was_reached(&inside));
    close(inside.fd);
}

static void the_listener_is_reached_where_private_addresses_are_allowed(void **state)
{
    (void)state;
    struct inside inside = listen_inside();
    begin(true);
    ask(inside.port, true); /* the first answer, of outside */

    struct attempt attempt = ask(inside.port, true);

    assert_false(attempt.refused);
    assert_true(was_reached(&inside)); /* so that the tests above can fail */
    close(inside.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_that_moves_inside_between_two_attempts_is_refused),
        cmocka_unit_test(of_several_addresses_of_a_name_each_is_judged),
        cmocka_unit_test(the_listener_is_reached_where_private_addresses_are_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
