/*
 * The yardsticks of bench/gateway.py and bench/alerts.py: an upstream that costs next to nothing
 * (and takes its time before it answers, where one is named), and a client that asks several addresses in turn over kept connections, so that what disturbs the machine disturbs
 * all of them alike.
 *
 *   quick_http upstream PORT [MS]
 *   quick_http client REQUESTS CONNECTIONS PORT…    per port: p50 p90 p99 in µs
 *
 * One blocking thread a connection: nothing waits for anything else in here.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_PORTS = 4,
    MAX_CONNECTIONS = 256,
    WARM_UP = 200,
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* Reads one message with its body by Content-Length; false at the end of the connection. */
static int read_message(int fd, char *in, size_t room)
{
    size_t n = 0;
    for (;;) {
        ssize_t got = read(fd, in + n, room - 1 - n);
        if (got <= 0)
            return 0;
        n += (size_t)got;
        in[n] = '\0';
        const char *end = strstr(in, "\r\n\r\n");
        if (!end)
            continue;
        const char *length = strcasestr(in, "\r\nContent-Length:");
        size_t body = length ? strtoul(length + 17, NULL, 10) : 0;
        if (n >= (size_t)(end + 4 - in) + body)
            return 1;
    }
}

struct caller {
    int fd;
    useconds_t wait_us; /* before each answer */
};

static void *answer(void *argument)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                               "Content-Length: 40\r\n\r\n"
                               "{\"predictions\":[[0.8312345]],\"id\":\"abc\"}";
    const struct caller *caller = argument;
    int fd = caller->fd;
    char in[65536];
    while (read_message(fd, in, sizeof(in)) && usleep(caller->wait_us) == 0 &&
           write(fd, text, strlen(text)) > 0) {
    }
    free(argument);
    close(fd);
    return NULL;
}

static int upstream(int port, int wait_ms)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in at = loopback(port);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 256)) {
        perror("quick_http: bind");
        return 1;
    }
    for (;;) {
        int client = accept(fd, NULL, NULL);
        pthread_t thread;
        struct caller *caller = client < 0 ? NULL : calloc(1, sizeof(*caller));
        if (!caller)
            continue;
        *caller = (struct caller){client, (useconds_t)wait_ms * 1000};
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (pthread_create(&thread, NULL, answer, caller) == 0)
            pthread_detach(thread);
    }
}

struct asker {
    int64_t *taken[MAX_PORTS]; /* ns of each request */
    int ports[MAX_PORTS];
    int n_ports, n_requests, number, failed;
};

static int connect_to(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in at = loopback(port);
    if (connect(fd, (struct sockaddr *)&at, sizeof(at))) {
        perror("quick_http: connect");
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static void *ask(void *argument)
{
    static const char body[] =
        "{\"instances\":[{\"income\":51234.5,\"age\":41,\"city\":\"berlin\"}]}";
    struct asker *a = argument;
    int fds[MAX_PORTS];
    char out[1024], in[65536];
    for (int p = 0; p < a->n_ports; p++)
        fds[p] = connect_to(a->ports[p]);
    for (int i = -WARM_UP; i < a->n_requests; i++) {
        for (int p = 0; p < a->n_ports; p++) {
            int n = snprintf(out, sizeof(out),
                             "POST /v1/models/credit:predict HTTP/1.1\r\nHost: x\r\n"
                             "Content-Type: application/json\r\nX-User: u%d-%d\r\n"
                             "Content-Length: %zu\r\n\r\n%s",
                             a->number, i, sizeof(body) - 1, body);
            int64_t start = now_ns();
            if (write(fds[p], out, (size_t)n) != n || !read_message(fds[p], in, sizeof(in)) ||
                memcmp(in, "HTTP/1.1 200", 12) != 0) {
                a->failed++;
                return NULL;
            }
            if (i >= 0)
                a->taken[p][i] = now_ns() - start;
        }
    }
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int client(int n_requests, int n_connections, char **ports, int n_ports)
{
    static struct asker askers[MAX_CONNECTIONS];
    pthread_t threads[MAX_CONNECTIONS];
    int failed = 0;
    size_t each = (size_t)n_requests;
    int64_t *all = calloc(each * (size_t)n_connections * (size_t)n_ports, sizeof(*all));
    if (!all)
        return 1;
    for (int c = 0; c < n_connections; c++) {
        askers[c] = (struct asker){.n_ports = n_ports, .n_requests = n_requests, .number = c};
        for (int p = 0; p < n_ports; p++) {
            askers[c].ports[p] = (int)strtol(ports[p], NULL, 10);
            askers[c].taken[p] = all + ((size_t)p * (size_t)n_connections + (size_t)c) * each;
        }
        if (pthread_create(&threads[c], NULL, ask, &askers[c]))
            return 1;
    }
    for (int c = 0; c < n_connections; c++) {
        pthread_join(threads[c], NULL);
        failed += askers[c].failed;
    }
    size_t n = each * (size_t)n_connections;
    size_t half = n / 2, most = n * 9 / 10, all_but_few = n * 99 / 100;
    for (int p = 0; p < n_ports; p++) {
        int64_t *mine = all + (size_t)p * n;
        qsort(mine, n, sizeof(*mine), by_size);
        printf("%s %.1f %.1f %.1f\n", ports[p], (double)mine[half] / 1e3, (double)mine[most] / 1e3,
               (double)mine[all_but_few] / 1e3);
    }
    free(all);
    return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    if ((argc == 3 || argc == 4) && strcmp(argv[1], "upstream") == 0)
        return upstream((int)strtol(argv[2], NULL, 10),
                        argc == 4 ? (int)strtol(argv[3], NULL, 10) : 0);
    int connections = argc >= 5 ? (int)strtol(argv[3], NULL, 10) : 0;
    if (argc >= 5 && argc <= 4 + MAX_PORTS && strcmp(argv[1], "client") == 0 && connections > 0 &&
        connections <= MAX_CONNECTIONS)
        return client((int)strtol(argv[2], NULL, 10), connections, argv + 4, argc - 4);
    fprintf(stderr, "usage: quick_http upstream PORT [MS] | client REQUESTS CONNECTIONS PORT…\n");
    return 64;
}
