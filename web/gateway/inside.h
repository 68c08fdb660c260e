/*
 * The inside of a gateway: gateway.c (start, reload, stop), loop.c (one thread's turn), client.c
 * (a request until it is whole), upstream.c (the try of a version), answer.c (back to the client),
 * report.c (the event of it).
 *
 * Shape    each loop is one thread with its own half of everything: an HTTP library that is driven
 *          from outside, a curl multi with its kept connections, one epoll over both. A request
 *          never leaves its thread, so nothing here is locked but the table's pointer
 * Owner    a passage lives from the request line until its answer is out; the library holds it
 * Threads  the loop's, but where a field says atomic
 */
#pragma once

#include <curl/curl.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "common/log.h"
#include "web/framing.h"
#include "web/gateway/counts.h"
#include "web/gateway/gateway.h"
#include "web/gateway/table.h"
#include "web/guard.h"

enum {
    LOOK_MAX_BYTES = 1 << 20,      /* of a body that pointers lead into */
    STREAM_FROM_BYTES = 64 * 1024, /* a longer answer goes out while it comes in */
    AHEAD_MAX_BYTES = 256 * 1024,  /* of an answer that the client has not taken yet */
    ANSWER_HEAD_BYTES = 48 * 1024, /* the upstream's header */
    ID_MAX_BYTES = 250,            /* leaves room for the suffix of a failed try */
    METHOD_MAX_BYTES = 15,
    MAX_IDLE_HANDLES = 64,
    BODIES_MAX_BYTES = 256 << 20, /* of all requests together, above what each may have */
};

struct gateway;

struct loop {
    struct gateway *gateway;
    pthread_t thread;
    bool runs;
    int epoll, wake;
    struct MHD_Daemon *daemon;
    CURLM *multi;
    int64_t timer_ms; /* when curl wants to be called, on the boot clock; -1: not */
    CURL *idle[MAX_IDLE_HANDLES];
    int n_idle;
    struct passage *passages; /* all */
    struct passage *touched;  /* those whose answer has grown since the last look */
    atomic_bool stopping;
};

struct gateway {
    struct gateways *all;
    pthread_mutex_t lock;
    struct route_table *table;         /* under the lock */
    struct gateway_settings *settings; /* the newest, under the lock */
    struct gateway_counts counts;
    struct guard *guard;
    struct loop *loops;
    size_t n_loops;
    char *certificate, *key; /* PEM */
    int port;
    char url[300];
    atomic_bool draining;
    atomic_llong body_bytes; /* of all requests that are here */
};

struct gateways {
    struct gateways_options options;
    const struct clock *clock;
    struct gateway *items;
    size_t n;
    pthread_t watcher;
    bool watches;
    atomic_bool stopping;
    atomic_llong next_id;
    uint64_t id_salt;
};

/* One request on its way. */
struct passage {
    struct loop *loop;
    struct passage *previous, *next, *next_touched;
    struct MHD_Connection *connection;
    struct guarded *guarded;
    char *target;
    char method[METHOD_MAX_BYTES + 1];
    bool bare_newline, checked, whole, too_large, no_room, closes, suspended, is_touched;
    struct buf body;
    size_t body_given, body_dropped, body_counted;
    bool looks; /* the answer's body is wanted for the event */

    struct route_table *table;
    char id[UNIT_MAX_BYTES + 1], unit[UNIT_MAX_BYTES + 1];
    bool has_unit;
    int64_t ts_ms;
    json_t *request; /* the body, where pointers want it */
    struct choice choice;
    int upstream; /* the one that is tried; -1: none yet */
    bool resent;

    CURL *easy; /* a try is under way */
    struct curl_slist *lines;
    char reason[CURL_ERROR_SIZE];

    int status;         /* of the upstream; 0: no answer yet */
    struct buf head;    /* its header: name NUL value NUL … */
    bool head_is_whole; /* what follows are trailers */
    bool encoded;       /* gzip or so: not looked into */
    bool chunked;
    struct buf answer; /* its body */
    size_t dropped;    /* bytes of it that went out and were let go */
    size_t sent;       /* of what is in `answer` */
    bool streams;      /* goes out while it comes in */
    bool paused;
    bool answered; /* the response is queued */
    bool ended;    /* nothing more will come */
    bool broken;   /* … and it is not whole */

    int own_status; /* an answer of ours */
    const char *own_text;
};

static inline bool passage_may_answer(const struct passage *p)
{
    return p->own_status || p->ended || p->streams;
}

/* client.c: the library's callbacks; `context` is the loop. */
void *passage_begin(void *context, const char *uri, struct MHD_Connection *connection);
enum MHD_Result passage_step(void *context, struct MHD_Connection *connection, const char *url,
                             const char *method, const char *version, const char *upload,
                             size_t *upload_size, void **state);
void passage_end(void *context, struct MHD_Connection *connection, void **state,
                 enum MHD_RequestTerminationCode code);
void passage_resume(struct passage *p);

/* upstream.c */
void upstream_try(struct passage *p, int upstream);
void upstream_done(struct passage *p, CURLcode code);
void upstream_abort(struct passage *p);
/* Goes on reading where that had been stopped, once the client has taken enough. */
void upstream_unpause(struct passage *p);

/* answer.c */
enum MHD_Result answer_queue(struct passage *p);
enum MHD_Result answer_own(struct passage *p, int status, const char *text);

/* report.c: the event of a try that is over; `error` NULL: it worked. */
void report(struct passage *p, const char *error, int64_t latency_us, bool given_up);

/* loop.c */
int loop_open(struct loop *loop, struct gateway *gateway, int fd, struct err *err);
void *loop_run(void *argument);
void loop_close(struct loop *loop);
void loop_touch(struct loop *loop, struct passage *p);
CURL *loop_handle(struct loop *loop);
void loop_give_back(struct loop *loop, CURL *easy);

/* gateway.c */
struct route_table *gateway_table(struct gateway *gateway);
