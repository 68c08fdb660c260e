/*
 * Deadlines and limits on a clock of the test: nothing here waits.
 */
#include "web/guard.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/test.h"

static int64_t now_ms;

static int64_t test_now(void *context)
{
    (void)context;
    return now_ms;
}

static const struct clock test_clock = {NULL, test_now, test_now};
static const struct guard_limits limits = {.connections = 4,
                                           .per_address = 2,
                                           .rate = 10,
                                           .header_ms = 10000,
                                           .body_ms = 30000,
                                           .idle_ms = 30000,
                                           .answer_ms = 120000};

static struct sockaddr_in address(unsigned last)
{
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(0xc0000200u + last)}};
}

struct peer {
    int ours, theirs;
    struct guarded *guarded;
};

static struct peer connect_from(struct guard *guard, unsigned last)
{
    int fds[2];
    struct sockaddr_in from = address(last);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    struct peer peer = {fds[0], fds[1], NULL};
    assert_true(guard_admit(guard, (struct sockaddr *)&from));
    peer.guarded = guard_open(guard, fds[0], (struct sockaddr *)&from);
    assert_non_null(peer.guarded);
    return peer;
}

static bool is_ended(const struct peer *peer)
{
    char byte;
    return recv(peer->theirs, &byte, 1, MSG_DONTWAIT) == 0;
}

static void disconnect(struct guard *guard, struct peer *peer)
{
    guard_close(guard, peer->guarded);
    close(peer->ours);
    close(peer->theirs);
}

static void F48_a_header_has_ten_seconds_however_many_bytes_trickle_in(void **state)
{
    (void)state;
    AUTO(guard) struct guard *guard = NULL;
    now_ms = 1000;
    assert_int_equal(guard_new(&guard, &limits, &test_clock, NULL), 0);
    struct peer peer = connect_from(guard, 1);

    now_ms += 9999;
    assert_int_equal(guard_sweep(guard), 0);
    assert_false(is_ended(&peer));
    now_ms += 1;
    assert_int_equal(guard_sweep(guard), 1);
    assert_true(is_ended(&peer));
    assert_int_equal(guard_counts(guard).expired, 1);
    disconnect(guard, &peer);
}

static void F48_a_body_has_thirty_seconds_and_our_own_work_none(void **state)
{
    (void)state;
    AUTO(guard) struct guard *guard = NULL;
    now_ms = 1000;
    assert_int_equal(guard_new(&guard, &limits, &test_clock, NULL), 0);
    struct peer peer = connect_from(guard, 1);

    guard_phase(guard, peer.guarded, GUARD_BODY);
    now_ms += 29999;
    assert_int_equal(guard_sweep(guard), 0);
    guard_phase(guard, peer.guarded, GUARD_WORKING);
    now_ms += 3600000;
    assert_int_equal(guard_sweep(guard), 0);
    guard_phase(guard, peer.guarded, GUARD_BODY);
    now_ms += 30000;
    assert_int_equal(guard_sweep(guard), 1);
    assert_true(is_ended(&peer));
    disconnect(guard, &peer);
}

static void the_slowest_of_an_address_makes_room_for_its_next(void **state)
{
    (void)state;
    AUTO(guard) struct guard *guard = NULL;
    now_ms = 1000;
    assert_int_equal(guard_new(&guard, &limits, &test_clock, NULL), 0);
    struct peer other = connect_from(guard, 9);
    now_ms++;
    struct peer first = connect_from(guard, 1);
    now_ms++;
    struct peer second = connect_from(guard, 1);
    now_ms++;

    struct peer third = connect_from(guard, 1);

    assert_true(is_ended(&first));
    assert_false(is_ended(&second));
    assert_false(is_ended(&third));
    assert_false(is_ended(&other)); /* older, but not of that address */
    assert_int_equal(guard_counts(guard).evicted, 1);
    disconnect(guard, &first);
    disconnect(guard, &second);
    disconnect(guard, &third);
    disconnect(guard, &other);
    assert_int_equal(guard_counts(guard).open, 0);
}

static void who_is_being_served_is_never_ended_for_a_newcomer(void **state)
{
    (void)state;
    AUTO(guard) struct guard *guard = NULL;
    now_ms = 1000;
    assert_int_equal(guard_new(&guard, &limits, &test_clock, NULL), 0);
    struct peer peers[4];
    for (unsigned i = 0; i < 4; i++) {
        peers[i] = connect_from(guard, i);
        guard_phase(guard, peers[i].guarded, i % 2 ? GUARD_WORKING : GUARD_STREAM);
    }
    struct sockaddr_in from = address(7);

    assert_false(guard_admit(guard, (struct sockaddr *)&from));

    assert_int_equal(guard_counts(guard).refused, 1);
    for (int i = 0; i < 4; i++) {
        assert_false(is_ended(&peers[i]));
        disconnect(guard, &peers[i]);
    }
}

static void an_address_may_ask_so_often(void **state)
{
    (void)state;
    AUTO(guard) struct guard *guard = NULL;
    now_ms = 1000;
    assert_int_equal(guard_new(&guard, &limits, &test_clock, NULL), 0);
    struct peer one = connect_from(guard, 1), other = connect_from(guard, 2);

    for (int i = 0; i < 20; i++)
        assert_int_equal(guard_rate(guard, one.guarded), 0);
    assert_int_equal(guard_rate(guard, one.guarded), 1);
    assert_int_equal(guard_rate(guard, other.guarded), 0);
    now_ms += 100; /* a tenth of a second: one more */
    assert_int_equal(guard_rate(guard, one.guarded), 0);
    assert_int_equal(guard_rate(guard, one.guarded), 1);
    disconnect(guard, &one);
    disconnect(guard, &other);
}

static void a_token_may_ask_so_often_from_wherever_it_comes(void **state)
{
    (void)state;
    AUTO(guard) struct guard *guard = NULL;
    const unsigned char one[32] = {4, 127}, other[32] = {4, 128};
    now_ms = 1000;
    assert_int_equal(guard_new(&guard, &limits, &test_clock, NULL), 0);
    struct peer peer = connect_from(guard, 1);

    for (int i = 0; i < 20; i++)
        assert_int_equal(guard_rate_token(guard, one), 0);
    assert_int_equal(guard_rate_token(guard, one), 1);
    assert_int_equal(guard_rate_token(guard, other), 0);
    assert_int_equal(guard_rate(guard, peer.guarded), 0);
    disconnect(guard, &peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(F48_a_header_has_ten_seconds_however_many_bytes_trickle_in),
        cmocka_unit_test(F48_a_body_has_thirty_seconds_and_our_own_work_none),
        cmocka_unit_test(the_slowest_of_an_address_makes_room_for_its_next),
        cmocka_unit_test(who_is_being_served_is_never_ended_for_a_newcomer),
        cmocka_unit_test(an_address_may_ask_so_often),
        cmocka_unit_test(a_token_may_ask_so_often_from_wherever_it_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
