/*
 * The inside of the server, shared by web.c (start, stop), exchange.c (one request from its first
 * byte to its answer), respond.c (answers as HTTP) and stream.c (events).
 *
 * Threads  libmicrohttpd's one thread runs every callback; workers run handlers and only touch
 *          their exchange; the keeper thread ends what is over its deadline
 */
#pragma once

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "web/assets.h"
#include "web/framing.h"
#include "web/guard.h"
#include "web/handlers.h"
#include "web/session.h"
#include "web/stream.h"
#include "web/token.h"
#include "web/web.h"
#include "web/work.h"

enum {
    BODY_MAX_BYTES = 256 * 1024,
    INGEST_MAX_BYTES = 8 * 1024 * 1024,
    UPLOAD_MAX_BYTES = 64 * 1024 * 1024,
    DROPPED_MAX_BYTES = 64 * 1024 * 1024, /* of a body that is too large: read, and not kept */
};

struct answers;

struct web {
    struct web_options options;
    struct web_commands commands;
    const struct clock *clock;
    struct MHD_Daemon *daemon;
    struct MHD_Daemon *former[8]; /* with older certificates; they keep their connections */
    size_t n_former;
    struct guard *guard;
    struct assets *assets;
    /* Held while a request is stepped and while web_reload changes what follows. */
    pthread_mutex_t turn;
    struct tokens *tokens; /* NULL: none asked for */
    struct sessions *sessions;
    char *hosts; /* names besides our own that may be asked for, one a line; NULL: none */
    pthread_mutex_t config_lock;
    struct config *config;     /* read again and in force; NULL: still the first one */
    struct api_context *quick; /* on the HTTP library's thread */
    struct work *readers, *ingest, *waiters;
    struct stream *stream;
    struct answers *answers;
    struct exchange *leaders[64]; /* questions under way that others wait for: shared_answer.h */
    struct drift_cache *drift_cache;
    struct warmer *warmer;
    struct memo *memo;
    char *certificate, *key; /* PEM */
    void *certificate_x509;  /* to check host names against */
    char host[256];          /* the listen address's own name */
    char machine[256];
    int port;
    char url[300];
    pthread_t keeper;
    bool keeper_runs;
    atomic_bool stopping;
    atomic_llong n_requests;
};

/* One request; made when its request line is in, gone when its answer is out. */
struct exchange {
    struct job job; /* first: a worker gets the exchange from its job */
    struct web *web;
    struct MHD_Connection *connection;
    struct guarded *guarded;
    char *text; /* the request target as it came */
    const char *method;
    bool bare_newline;
    bool checked, too_large, answered;
    struct target target;
    const struct route *route; /* NULL: a file of the page, or a refusal */
    const struct token *token; /* token_copy, or NULL: nobody */
    struct token token_copy;   /* the list may be read again meanwhile */
    char cookie[300];          /* Set-Cookie of the answer; "": none */
    size_t body_limit, body_dropped;
    struct buf body;
    uint64_t change; /* the counter before the handler read anything */
    struct api_answer answer;
    struct buf gzip;
    bool csv, prometheus, takes_gzip;
    bool packed;                             /* the body comes as gzip */
    bool closes;                             /* the connection ends with this answer */
    struct exchange *waiting, *next_waiting; /* for this answer: shared_answer.h */
    int n_waits;
    char *allow; /* for 405 */
};

/* renew.c: read from files into fields of `web` that are still NULL, and a text of host names. */
int server_load_tls(struct web *web, const struct config_http *http, struct err *err);
int server_load_hosts(char **out, const struct config_http *http, struct err *err);
/* web.c: the library on that listening socket, with the certificate that `web` has now. */
int server_listen(struct web *web, const struct config_http *http, int fd, struct MHD_Daemon **out,
                  struct err *err);

/* libmicrohttpd's callbacks; `context` is the web. */
bool exchange_admit(struct web *web, const struct sockaddr *address);
void *exchange_begin(void *context, const char *uri, struct MHD_Connection *connection);
enum MHD_Result exchange_step(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state);
void exchange_end(void *context, struct MHD_Connection *connection, void **state,
                  enum MHD_RequestTerminationCode code);
void exchange_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                         enum MHD_ConnectionNotificationCode code);

/* Answers of ROUTE_CACHED routes, for as long as the change counter stands still. */
int answers_new(struct answers **out, struct err *err);
void answers_free(struct answers *answers);
/* True: the answer is on its way. */
bool respond_cached(struct exchange *exchange, enum MHD_Result *result);
enum MHD_Result respond_answer(struct exchange *exchange);
enum MHD_Result respond_asset(struct exchange *exchange, const struct asset *asset);
enum MHD_Result respond_stream(struct exchange *exchange);
/* Makes the problem from status and text, then answers with it. */
enum MHD_Result respond_problem(struct exchange *exchange, int status, const char *detail);
/* gzips the answer when that pays; on a worker. */
void respond_compress(struct exchange *exchange);
