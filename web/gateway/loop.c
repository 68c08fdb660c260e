/*
 * One thread's turn: wait on one epoll for the HTTP library's own epoll, curl's sockets and the
 * wake-up; let curl work, hand what came to its clients, let the library work; again.
 *
 *   epoll ─┬─ the library's epoll: clients, the listening socket
 *          ├─ curl's sockets: upstreams
 *          └─ eventfd: stop
 *
 * A request passes through without changing its thread: the two hops of a pool behind a server
 * thread cost more than the work itself.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "web/gateway/inside.h"
#include "web/http_library.h"

enum {
    TURN_MS = 250, /* at least this often, for deadlines */
    MAX_EVENTS = 64,
    IDLE_UPSTREAM_CONNECTIONS = 64,
    CONNECTION_BYTES = 192 * 1024, /* both headers, with room for the library's own needs */
    CONNECTION_TIMEOUT_S = 120,
    LIBRARY_SLACK = 64,
};

static int64_t now_ms(void)
{
    return clock_boot_ms(clock_system());
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *known)
{
    struct loop *loop = context;
    (void)easy;
    struct epoll_event event = {.data.fd = fd};
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    event.events = (what & CURL_POLL_IN ? (unsigned)EPOLLIN : 0) |
                   (what & CURL_POLL_OUT ? (unsigned)EPOLLOUT : 0);
    if (!known)
        curl_multi_assign(loop->multi, fd, loop);
    if (epoll_ctl(loop->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) == 0)
        return 0;
    return epoll_ctl(loop->epoll, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event);
}

static int on_timer(CURLM *multi, long timeout_ms, void *context)
{
    struct loop *loop = context;
    (void)multi;
    loop->timer_ms = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
    return 0;
}

static enum MHD_Result admit(void *context, const struct sockaddr *address, socklen_t size)
{
    struct loop *loop = context;
    (void)size;
    return !atomic_load(&loop->gateway->draining) && guard_admit(loop->gateway->guard, address)
               ? MHD_YES
               : MHD_NO;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct loop *loop = context;
    http_library_guard(loop->gateway->guard, connection, socket_context, code);
}

static int start_library(struct loop *loop, int fd, struct err *err)
{
    struct gateway *gateway = loop->gateway;
    struct http_library_tls tls;
    const unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
                           http_library_tls(&tls, gateway->certificate, gateway->key);
    loop->daemon = MHD_start_daemon(
        flags, 0, admit, loop, passage_step, loop, MHD_OPTION_EXTERNAL_LOGGER,
        http_library_be_silent, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)gateway->settings->connections + LIBRARY_SLACK,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)CONNECTION_TIMEOUT_S, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_URI_LOG_CALLBACK, passage_begin, loop, MHD_OPTION_NOTIFY_COMPLETED, passage_end,
        loop, MHD_OPTION_NOTIFY_CONNECTION, on_connection, loop, MHD_OPTION_ARRAY, tls.items,
        MHD_OPTION_END);
    if (!loop->daemon)
        return err_set(err, ERR_USAGE, "gateway: %s: the server does not start%s",
                       gateway->settings->listen,
                       gateway->certificate ? "; do tls.cert and tls.key belong together?" : "");
    return 0;
}

static int watch(struct loop *loop, int fd, struct err *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event))
        return err_set(err, -errno, "gateway: epoll: %s", err_words(errno));
    return 0;
}

int loop_open(struct loop *loop, struct gateway *gateway, int fd, struct err *err)
{
    loop->gateway = gateway;
    loop->timer_ms = -1;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    loop->multi = curl_multi_init();
    if (loop->epoll < 0 || loop->wake < 0 || !loop->multi) {
        close(fd);
        return err_set(err, -ENOMEM, "gateway: no room for another thread");
    }
    curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop);
    curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop);
    curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS, (long)IDLE_UPSTREAM_CONNECTIONS);
    curl_multi_setopt(loop->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    int rc = start_library(loop, fd, err);
    if (rc) {
        close(fd);
        return rc;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(loop->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    rc = watch(loop, info->epoll_fd, err);
    return rc ? rc : watch(loop, loop->wake, err);
}

void loop_close(struct loop *loop)
{
    if (loop->daemon)
        MHD_stop_daemon(loop->daemon);
    for (int i = 0; i < loop->n_idle; i++)
        curl_easy_cleanup(loop->idle[i]);
    if (loop->multi)
        curl_multi_cleanup(loop->multi);
    if (loop->epoll > 0)
        close(loop->epoll);
    if (loop->wake > 0)
        close(loop->wake);
}

CURL *loop_handle(struct loop *loop)
{
    return loop->n_idle ? loop->idle[--loop->n_idle] : curl_easy_init();
}

void loop_give_back(struct loop *loop, CURL *easy)
{
    if (loop->n_idle == MAX_IDLE_HANDLES) {
        curl_easy_cleanup(easy);
        return;
    }
    curl_easy_reset(easy);
    loop->idle[loop->n_idle++] = easy;
}

void loop_touch(struct loop *loop, struct passage *p)
{
    if (p->is_touched)
        return;
    p->is_touched = true;
    p->next_touched = loop->touched;
    loop->touched = p;
}

static void reap(struct loop *loop)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(loop->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        struct passage *p = NULL;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&p);
        upstream_done(p, code);
    }
}

/* Answers that have grown: long ones, and those whose end is not known, begin to go out. */
static void hand_on(struct loop *loop)
{
    while (loop->touched) {
        struct passage *p = loop->touched;
        loop->touched = p->next_touched;
        p->next_touched = NULL;
        p->is_touched = false;
        p->streams |= p->head_is_whole && (p->chunked || p->answer.size >= STREAM_FROM_BYTES);
        if (p->streams)
            passage_resume(p);
    }
}

static void work(struct loop *loop, const struct epoll_event *events, int n, int library_fd)
{
    int running;
    for (int i = 0; i < n; i++) {
        int fd = events[i].data.fd;
        uint64_t count;
        if (fd == loop->wake && read(fd, &count, sizeof(count)) < 0)
            continue;
        if (fd == loop->wake || fd == library_fd)
            continue;
        int mask = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                   (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                   (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
        curl_multi_socket_action(loop->multi, fd, mask, &running);
    }
    if (loop->timer_ms >= 0 && loop->timer_ms <= now_ms()) {
        loop->timer_ms = -1;
        curl_multi_socket_action(loop->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    reap(loop);
    hand_on(loop);
}

/* The library once, and again while it has something to do at once (a connection just resumed). */
static void serve(struct loop *loop)
{
    MHD_UNSIGNED_LONG_LONG wait;
    for (int i = 0; i < 8; i++) {
        MHD_run(loop->daemon);
        if (MHD_get_timeout(loop->daemon, &wait) != MHD_YES || wait > 0)
            return;
    }
}

static int time_to_wait(struct loop *loop)
{
    MHD_UNSIGNED_LONG_LONG library;
    int64_t wait = TURN_MS;
    if (MHD_get_timeout(loop->daemon, &library) == MHD_YES && (int64_t)library < wait)
        wait = (int64_t)library;
    if (loop->timer_ms >= 0) {
        int64_t left = loop->timer_ms - now_ms();
        wait = left < 0 ? 0 : left < wait ? left : wait;
    }
    return (int)wait;
}

/* What has not ended in time ends now: no connection may be suspended when the library stops. */
static void give_up(struct loop *loop)
{
    for (struct passage *p = loop->passages; p; p = p->next) {
        upstream_abort(p);
        p->ended = true;
        p->broken = true;
        if (!p->answered && !p->own_status) {
            p->own_status = 503;
            p->own_text = "the gateway is stopping";
        }
        passage_resume(p);
    }
    serve(loop);
    for (struct passage *p = loop->passages; p; p = p->next)
        passage_resume(p);
    MHD_run(loop->daemon);
}

void *loop_run(void *argument)
{
    struct loop *loop = argument;
    struct epoll_event events[MAX_EVENTS];
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(loop->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    int library_fd = info->epoll_fd;
    int64_t until_ms = INT64_MAX, sweep_ms = 0;
    for (;;) {
        int n = epoll_wait(loop->epoll, events, MAX_EVENTS, time_to_wait(loop));
        work(loop, events, n < 0 ? 0 : n, library_fd);
        serve(loop);
        if (loop == loop->gateway->loops && now_ms() >= sweep_ms) {
            guard_sweep(loop->gateway->guard); /* one thread does it for all */
            sweep_ms = now_ms() + TURN_MS;
        }
        if (atomic_load(&loop->stopping) && until_ms == INT64_MAX) {
            int fd = MHD_quiesce_daemon(loop->daemon);
            if (fd >= 0)
                close(fd);
            struct route_table *table = gateway_table(loop->gateway);
            until_ms = now_ms() + table->settings->drain_ms;
            table_drop(table);
        }
        if (until_ms != INT64_MAX && (!loop->passages || now_ms() >= until_ms))
            break;
    }
    give_up(loop);
    return NULL;
}
