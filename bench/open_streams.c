/*
 * Holds event streams open and reads them into the void, as cheaply as Linux lets: the reader of
 * bench/streams.py.
 *
 * usage: open_streams PORT
 *
 * Lines on standard input say how many streams are to be open. Each is answered by a line when all
 * of them have had their first byte: how many are open, the bytes read so far, and the reads that
 * it took.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MAX_STREAMS = 4000,
    N_EVENTS = 256,
    READ_BYTES = 1 << 20, /* MSG_TRUNC: thrown away by the kernel, never copied */
};

struct reader {
    int poll;
    uint16_t port;
    int fds[MAX_STREAMS];
    int n_open, n_silent; /* of n_open: those that have said nothing yet */
    bool heard[MAX_STREAMS];
    uint64_t bytes, reads;
};

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "open_streams: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void watch(int poll, int fd, uint32_t place)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = place};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event))
        give_up("epoll");
}

static void open_one(struct reader *reader)
{
    static const char request[] = "GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(reader->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
        give_up("connect");
    if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
        give_up("send");
    watch(reader->poll, fd, (uint32_t)reader->n_open);
    reader->heard[reader->n_open] = false;
    reader->fds[reader->n_open++] = fd;
    reader->n_silent++;
}

static void read_one(struct reader *reader, uint32_t place)
{
    ssize_t n = recv(reader->fds[place], NULL, READ_BYTES, MSG_TRUNC | MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        give_up("a stream ended");
    reader->bytes += (uint64_t)n;
    reader->reads++;
    reader->n_silent -= !reader->heard[place];
    reader->heard[place] = true;
}

/* What the next line asks for; -1: no more. */
static int next_wish(void)
{
    char line[32];
    ssize_t n = read(STDIN_FILENO, line, sizeof(line) - 1);
    if (n <= 0)
        return -1;
    line[n] = '\0';
    long wish = strtol(line, NULL, 10);
    return wish < 0 || wish > MAX_STREAMS ? -1 : (int)wish;
}

static void fulfil(struct reader *reader, int wish)
{
    while (reader->n_open > wish)
        close(reader->fds[--reader->n_open]);
    while (reader->n_open < wish)
        open_one(reader);
}

int main(int argc, char **argv)
{
    static struct reader reader;
    const struct rlimit files = {MAX_STREAMS + 64, MAX_STREAMS + 64};
    if (argc != 2) {
        fprintf(stderr, "usage: open_streams PORT\n");
        return 2;
    }
    reader.port = (uint16_t)strtoul(argv[1], NULL, 10);
    reader.poll = epoll_create1(0);
    if (reader.poll < 0 || setrlimit(RLIMIT_NOFILE, &files))
        give_up("start");
    watch(reader.poll, STDIN_FILENO, MAX_STREAMS);
    bool asked = false;
    for (;;) {
        struct epoll_event events[N_EVENTS];
        int n = epoll_wait(reader.poll, events, N_EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.u32 < MAX_STREAMS) {
                if (events[i].data.u32 < (uint32_t)reader.n_open)
                    read_one(&reader, events[i].data.u32);
                continue;
            }
            int wish = next_wish();
            if (wish < 0)
                return 0;
            fulfil(&reader, wish);
            asked = true;
        }
        if (asked && reader.n_silent == 0) {
            printf("%d %llu %llu\n", reader.n_open, (unsigned long long)reader.bytes,
                   (unsigned long long)reader.reads);
            fflush(stdout);
            asked = false;
        }
    }
}
