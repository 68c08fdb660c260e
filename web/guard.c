/*
 * One list of open connections and one small table of addresses. With at most a few hundred
 * connections a walk over the list costs microseconds; nothing smarter is needed.
 *
 * A connection is ended by shutdown(2) on its socket, never by close: the HTTP library sees the
 * end of input and closes it itself. It tells us first (guard_close), under the same lock, so the
 * number of a socket that is already somebody else's is never touched.
 */
#include "web/guard.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_TOKEN = 'T',    /* first byte of a key that is a token's, where an address has 4 or 6 */
    N_ADDRESSES = 1024, /* remembered for their rates; the one quiet for longest makes room */
};

struct address_key {
    unsigned char bytes[16]; /* IPv6: its /64, which is what one client has */
};

struct address {
    struct address_key key;
    bool used;
    double tokens;        /* requests it may make now */
    double failures;      /* failed sign-ins that count now */
    int64_t tokens_at_ms; /* when that was so */
    int64_t failures_at_ms;
    int64_t seen_ms;
};

struct guarded {
    struct guarded *previous, *next;
    struct address_key key;
    int fd;
    bool ended; /* shutdown was called */
    enum guard_phase phase;
    int64_t since_ms;
    int64_t deadline_ms;
};

struct guard {
    pthread_mutex_t lock;
    struct guard_limits limits;
    const struct clock *clock;
    struct guarded *head;
    struct guard_counts counts;
    struct address addresses[N_ADDRESSES];
};

int guard_new(struct guard **out, const struct guard_limits *limits, const struct clock *clock,
              struct err *err)
{
    struct guard *guard = calloc(1, sizeof(*guard));
    if (!guard)
        return err_set(err, -ENOMEM, "web: no memory for the table of connections");
    pthread_mutex_init(&guard->lock, NULL);
    guard->limits = *limits;
    guard->clock = clock;
    *out = guard; /* the caller owns it now */
    return 0;
}

void guard_free(struct guard *guard)
{
    if (!guard)
        return;
    while (guard->head) {
        struct guarded *next = guard->head->next;
        free(guard->head);
        guard->head = next;
    }
    pthread_mutex_destroy(&guard->lock);
    free(guard);
}

static struct address_key key_of(const struct sockaddr *address)
{
    struct address_key key = {{0}};
    if (address && address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof(v4));
        key.bytes[0] = 4;
        memcpy(key.bytes + 1, &v4.sin_addr, 4);
    } else if (address && address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof(v6));
        key.bytes[0] = 6;
        memcpy(key.bytes + 1, &v6.sin6_addr, 8);
    }
    return key;
}

static bool same_key(const struct address_key *a, const struct address_key *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static bool waits_for_client(const struct guarded *connection)
{
    return connection->phase == GUARD_HEADER || connection->phase == GUARD_IDLE;
}

static void end(struct guarded *connection)
{
    connection->ended = true;
    shutdown(connection->fd, SHUT_RDWR);
}

bool guard_admit(struct guard *guard, const struct sockaddr *address)
{
    struct address_key key = key_of(address);
    pthread_mutex_lock(&guard->lock);
    int all = 0, same = 0;
    struct guarded *oldest = NULL, *oldest_same = NULL;
    for (struct guarded *c = guard->head; c; c = c->next) {
        if (c->ended)
            continue;
        bool mine = same_key(&c->key, &key);
        all++;
        same += mine;
        if (!waits_for_client(c))
            continue;
        if (!oldest || c->since_ms <= oldest->since_ms)
            oldest = c;
        if (mine && (!oldest_same || c->since_ms <= oldest_same->since_ms))
            oldest_same = c;
    }
    struct guarded *victim = same >= guard->limits.per_address ? oldest_same : oldest;
    bool full = same >= guard->limits.per_address || all >= guard->limits.connections;
    if (full && victim) {
        end(victim);
        guard->counts.evicted++;
    } else if (full) {
        guard->counts.refused++;
    }
    pthread_mutex_unlock(&guard->lock);
    return !full || victim;
}

static void set_phase(struct guard *guard, struct guarded *connection, enum guard_phase phase)
{
    const struct guard_limits *limits = &guard->limits;
    int64_t now = clock_boot_ms(guard->clock);
    int64_t allowed[] = {
        [GUARD_HEADER] = limits->header_ms, [GUARD_BODY] = limits->body_ms,
        [GUARD_WORKING] = INT64_MAX,        [GUARD_ANSWER] = limits->answer_ms,
        [GUARD_STREAM] = INT64_MAX,         [GUARD_IDLE] = limits->idle_ms,
    };
    connection->phase = phase;
    connection->since_ms = now;
    connection->deadline_ms = allowed[phase] == INT64_MAX ? INT64_MAX : now + allowed[phase];
}

struct guarded *guard_open(struct guard *guard, int fd, const struct sockaddr *address)
{
    struct guarded *connection = calloc(1, sizeof(*connection));
    if (!connection)
        return NULL;
    connection->fd = fd;
    connection->key = key_of(address);
    pthread_mutex_lock(&guard->lock);
    set_phase(guard, connection, GUARD_HEADER);
    connection->next = guard->head;
    if (guard->head)
        guard->head->previous = connection;
    guard->head = connection;
    guard->counts.open++;
    pthread_mutex_unlock(&guard->lock);
    return connection;
}

void guard_phase(struct guard *guard, struct guarded *connection, enum guard_phase phase)
{
    pthread_mutex_lock(&guard->lock);
    set_phase(guard, connection, phase);
    pthread_mutex_unlock(&guard->lock);
}

void guard_close(struct guard *guard, struct guarded *connection)
{
    if (!connection)
        return;
    pthread_mutex_lock(&guard->lock);
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        guard->head = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    guard->counts.open--;
    pthread_mutex_unlock(&guard->lock);
    free(connection);
}

static struct address *address_of(struct guard *guard, const struct address_key *key, int64_t now)
{
    struct address *quietest = &guard->addresses[0];
    for (size_t i = 0; i < N_ADDRESSES; i++) {
        struct address *address = &guard->addresses[i];
        if (address->used && same_key(&address->key, key)) {
            address->seen_ms = now;
            return address;
        }
        if (!address->used || (quietest->used && address->seen_ms < quietest->seen_ms))
            quietest = quietest->used ? address : quietest;
    }
    *quietest = (struct address){
        .key = *key,
        .used = true,
        .tokens = 2.0 * guard->limits.rate,
        .tokens_at_ms = now,
        .failures_at_ms = now,
        .seen_ms = now,
    };
    return quietest;
}

static int rate(struct guard *guard, const struct address_key *key)
{
    if (guard->limits.rate <= 0)
        return 0;
    pthread_mutex_lock(&guard->lock);
    int64_t now = clock_boot_ms(guard->clock);
    struct address *address = address_of(guard, key, now);
    double burst = 2.0 * guard->limits.rate;
    address->tokens += (double)(now - address->tokens_at_ms) / 1000 * guard->limits.rate;
    if (address->tokens > burst)
        address->tokens = burst;
    address->tokens_at_ms = now;
    int wait_s = address->tokens >= 1 ? 0 : 1;
    if (wait_s == 0)
        address->tokens -= 1;
    pthread_mutex_unlock(&guard->lock);
    return wait_s;
}

int guard_rate(struct guard *guard, const struct guarded *connection)
{
    return rate(guard, &connection->key);
}

int guard_rate_token(struct guard *guard, const unsigned char sha256[32])
{
    struct address_key key = {{KEY_TOKEN}};
    memcpy(key.bytes + 1, sha256, sizeof(key.bytes) - 1);
    return rate(guard, &key);
}

int guard_rate_failures(struct guard *guard, const struct guarded *connection, int n_a_minute)
{
    pthread_mutex_lock(&guard->lock);
    int64_t now = clock_boot_ms(guard->clock);
    struct address *address = address_of(guard, &connection->key, now);
    address->failures -= (double)(now - address->failures_at_ms) / 60000 * n_a_minute;
    if (address->failures < 0)
        address->failures = 0;
    address->failures_at_ms = now;
    bool over = address->failures + 1 > n_a_minute;
    if (!over)
        address->failures += 1;
    pthread_mutex_unlock(&guard->lock);
    return over ? 60 / n_a_minute + 1 : 0;
}

int guard_sweep(struct guard *guard)
{
    int n = 0;
    pthread_mutex_lock(&guard->lock);
    int64_t now = clock_boot_ms(guard->clock);
    for (struct guarded *c = guard->head; c; c = c->next) {
        if (c->ended || now < c->deadline_ms)
            continue;
        end(c);
        n++;
    }
    guard->counts.expired += n;
    pthread_mutex_unlock(&guard->lock);
    return n;
}

struct guard_counts guard_counts(struct guard *guard)
{
    pthread_mutex_lock(&guard->lock);
    struct guard_counts counts = guard->counts;
    pthread_mutex_unlock(&guard->lock);
    return counts;
}
