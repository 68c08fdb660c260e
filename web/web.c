/*
 * Start and stop, in the order of what needs what:
 *
 *   start  rules on the address → tokens, certificate → guard, page → workers, stream → socket
 *   stop   no new connections → jobs under way finish → streams end → the HTTP library stops
 *
 * A connection that is suspended must be resumed before the library stops, or it aborts: that is
 * why workers and streams come before it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/drift_cache.h"
#include "storage/memo.h"
#include "web/http_library.h"
#include "web/pem.h"
#include "web/server.h"
#include "web/shared_answer.h"
#include "web/warmer.h"

enum {
    N_READERS = 3,
    N_WAITERS = 32,
    N_INGEST = 32, /* each waits for a commit; together they share it */
    KEEPER_MS = 250,
    CONNECTION_BYTES = 96 * 1024, /* header limits with room for the library's own needs */
    LIBRARY_SLACK = 64,           /* connections that are ending while others come */
};

/* Loopback needs nothing; any other address needs TLS and tokens, or to be asked for by name. */
static int check_address(const struct web *web, const struct config_http *http,
                         const struct sockaddr *address, struct err *err)
{
    bool loopback = false;
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof(v4));
        loopback = ntohl(v4.sin_addr.s_addr) >> 24 == 127;
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof(v6));
        loopback = IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
    }
    if (loopback || http->insecure || (web->certificate && web->tokens))
        return 0;
    return err_set(err, ERR_USAGE,
                   "http.listen: %s can be reached from other machines, which needs http.tls and "
                   "http.tokens; or say http.insecure: true",
                   http->address);
}

static int bind_socket(int *out, const struct addrinfo *info, const struct config_http *http,
                       struct err *err)
{
    AUTO_CLOSE int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0)
        return err_set(err, -errno, "http.listen: %s: %s", http->address, err_words(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, info->ai_addr, info->ai_addrlen) || listen(fd, 1024))
        return err_set(
            err, ERR_USAGE, "http.listen: %s:%d: %s%s", http->address, http->port, err_words(errno),
            errno == EADDRINUSE ? "; is another assay running? choose another port" : "");
    *out = fd;
    fd = -1; /* the caller owns it now */
    return 0;
}

static int open_socket(struct web *web, const struct config_http *http, int *fd, struct err *err)
{
    char port[8];
    snprintf(port, sizeof(port), "%d", http->port);
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *info = NULL;
    char name[256];
    size_t n = strlen(http->address);
    bool bracketed = n > 2 && http->address[0] == '[' && http->address[n - 1] == ']';
    snprintf(name, sizeof(name), "%.*s", (int)(n - (bracketed ? 2 : 0)),
             http->address + (bracketed ? 1 : 0));
    int rc = getaddrinfo(name, port, &hints, &info);
    if (rc)
        return err_set(err, ERR_USAGE, "http.listen: %s: %s", http->address, gai_strerror(rc));
    rc = check_address(web, http, info->ai_addr, err);
    if (rc == 0)
        rc = bind_socket(fd, info, http, err);
    freeaddrinfo(info);
    if (rc)
        return rc;

    struct sockaddr_storage bound;
    socklen_t size = sizeof(bound);
    getsockname(*fd, (struct sockaddr *)&bound, &size);
    char number[NI_MAXSERV] = "0";
    getnameinfo((struct sockaddr *)&bound, size, NULL, 0, number, sizeof(number), NI_NUMERICSERV);
    web->port = atoi(number); /* NOLINT(cert-err34-c): a number by NI_NUMERICSERV */
    bool v6 = strchr(name, ':') != NULL;
    snprintf(web->host, sizeof(web->host), "%s", name);
    snprintf(web->url, sizeof(web->url), "%s://%s%s%s:%d", web->certificate ? "https" : "http",
             v6 ? "[" : "", name, v6 ? "]" : "", web->port);
    gethostname(web->machine, sizeof(web->machine) - 1);
    return 0;
}

static enum MHD_Result admit(void *context, const struct sockaddr *address, socklen_t size)
{
    (void)size;
    return exchange_admit(context, address) ? MHD_YES : MHD_NO;
}

int server_listen(struct web *web, const struct config_http *http, int fd, struct MHD_Daemon **out,
                  struct err *err)
{
    struct http_library_tls tls;
    const unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
                           MHD_USE_ERROR_LOG | http_library_tls(&tls, web->certificate, web->key);
    unsigned most = (unsigned)(http->max_connections > 0 ? http->max_connections : 200);
    *out = MHD_start_daemon(
        flags, 0, admit, web, exchange_step, web, MHD_OPTION_EXTERNAL_LOGGER,
        http_library_be_silent, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        most + LIBRARY_SLACK, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, 60u, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_URI_LOG_CALLBACK, exchange_begin, web, MHD_OPTION_NOTIFY_COMPLETED, exchange_end,
        web, MHD_OPTION_NOTIFY_CONNECTION, exchange_connection, web, MHD_OPTION_ARRAY, tls.items,
        MHD_OPTION_END);
    if (!*out)
        return err_set(err, ERR_USAGE, "http.listen: %s: the server does not start%s", web->url,
                       web->certificate ? "; do http.tls.cert and http.tls.key belong together?"
                                        : "");
    return 0;
}

static void *keep(void *argument)
{
    struct web *web = argument;
    while (!atomic_load(&web->stopping)) {
        guard_sweep(web->guard);
        usleep(KEEPER_MS * 1000);
    }
    return NULL;
}

static void counter(struct buf *out, const char *name, const char *help, int64_t value)
{
    buf_printf(out, "# TYPE %s counter\n# HELP %s %s\n%s_total %" PRId64 "\n", name, name, help,
               name, value);
}

static void gauge(struct buf *out, const char *name, const char *help, int64_t value)
{
    buf_printf(out, "# TYPE %s gauge\n# HELP %s %s\n%s %" PRId64 "\n", name, name, help, name,
               value);
}

int64_t web_certificate_end_ms(struct web *web)
{
    struct tm end;
    int64_t end_ms = 0;
    if (!web)
        return 0;
    pthread_mutex_lock(&web->turn); /* a reload replaces the certificate */
    if (web->certificate_x509 && ASN1_TIME_to_tm(X509_get0_notAfter(web->certificate_x509), &end))
        end_ms = (int64_t)timegm(&end) * 1000;
    pthread_mutex_unlock(&web->turn);
    return end_ms;
}

static bool is_stopping(void *context)
{
    struct web *web = context;
    return atomic_load(&web->stopping);
}

static void web_metrics(void *context, struct buf *out)
{
    struct web *web = context;
    struct guard_counts counts = guard_counts(web->guard);
    gauge(out, "assay_http_connections", "Open connections.", counts.open);
    gauge(out, "assay_http_streams", "Open event streams.", stream_count(web->stream));
    const int64_t end_ms = web_certificate_end_ms(web);
    if (end_ms)
        gauge(out, "assay_tls_certificate_expiry_timestamp_seconds",
              "When the certificate that is served stops being valid.", end_ms / 1000);
    counter(out, "assay_http_requests", "Requests whose header was complete.",
            atomic_load(&web->n_requests));
    counter(out, "assay_http_connections_evicted",
            "Slow connections that were ended to make room for others.", counts.evicted);
    counter(out, "assay_http_connections_expired", "Connections that passed a deadline.",
            counts.expired);
    counter(out, "assay_http_connections_refused", "Connections beyond the limits.",
            counts.refused);
}

static struct config *config_now(void *context)
{
    struct web *web = context;
    pthread_mutex_lock(&web->config_lock);
    struct config *now = web->config ? config_share(web->config) : NULL;
    pthread_mutex_unlock(&web->config_lock);
    return now;
}

void web_configure(struct web *web, const struct config *config)
{
    struct config *now = config_share(config);
    pthread_mutex_lock(&web->config_lock);
    struct config *former = web->config;
    web->config = now;
    pthread_mutex_unlock(&web->config_lock);
    config_free(former);
}

static int start_parts(struct web *web, const struct web_options *options, struct err *err)
{
    const struct config_http *http = &options->config->http;
    struct guard_limits limits = {
        .connections = (int)(http->max_connections > 0 ? http->max_connections : 200),
        .per_address = (int)(http->max_per_address > 0 ? http->max_per_address : 50),
        .rate = (int)http->max_rate,
        .header_ms = 10000,
        .body_ms = 30000,
        .idle_ms = 30000,
        .answer_ms = 120000,
    };
    web->drift_cache = options->drift_cache;
    int rc = web->drift_cache ? 0 : drift_cache_new(&web->drift_cache, err);
    if (rc == 0)
        rc = memo_new(&web->memo, err);
    struct api_options api = {.config = options->config,
                              .store_path = options->store_path,
                              .commands = options->commands ? &web->commands : NULL,
                              .clock = web->clock,
                              .changes = options->changes,
                              .drift_cache = web->drift_cache,
                              .memo = web->memo,
                              .web_metrics = web_metrics,
                              .stopping = is_stopping,
                              .config_now = config_now,
                              .web = web};
    if (rc == 0)
        rc = guard_new(&web->guard, &limits, clock_system(), err);
    if (rc == 0)
        rc = assets_new(&web->assets, options->web_dir, err);
    if (rc == 0)
        rc = answers_new(&web->answers, err);
    if (rc == 0)
        rc = api_open(&web->quick, &api, err);
    if (rc == 0)
        rc = work_new(&web->readers, &api, N_READERS, 256, err);
    if (rc == 0)
        rc = work_new(&web->ingest, &api, N_INGEST, 64, err);
    if (rc == 0)
        rc = work_new(&web->waiters, &api, N_WAITERS, N_WAITERS, err);
    if (rc == 0)
        rc = stream_new(&web->stream, options, &api, err);
    if (rc == 0 && options->changes)
        rc = warmer_start(&web->warmer, &api, err);
    return rc;
}

static int start(struct web *web, const struct web_options *options, struct err *err)
{
    const struct config_http *http = &options->config->http;
    AUTO_CLOSE int fd = -1;
    int rc = http->tokens ? tokens_read(&web->tokens, http->tokens, err) : 0;
    if (rc == 0)
        rc = server_load_tls(web, http, err);
    if (rc == 0)
        rc = server_load_hosts(&web->hosts, http, err);
    if (rc == 0)
        rc = sessions_new(&web->sessions, err);
    if (rc == 0)
        rc = open_socket(web, http, &fd, err);
    if (rc == 0)
        rc = start_parts(web, options, err);
    if (rc == 0)
        rc = server_listen(web, http, fd, &web->daemon, err);
    if (rc)
        return rc;
    fd = -1; /* the library owns it now */
    if (pthread_create(&web->keeper, NULL, keep, web))
        return err_set(err, -EAGAIN, "web: no thread to keep deadlines");
    web->keeper_runs = true;
    return 0;
}

int web_start(struct web **out, const struct web_options *options, struct err *err)
{
    struct web *web = calloc(1, sizeof(*web));
    if (!web)
        return err_set(err, -ENOMEM, "web: no memory to start");
    pthread_mutex_init(&web->turn, NULL);
    pthread_mutex_init(&web->config_lock, NULL);
    web->options = *options;
    web->clock = options->clock ? options->clock : clock_system();
    if (options->commands)
        web->commands = *options->commands;
    int rc = start(web, options, err);
    if (rc) {
        web_stop(web);
        return rc;
    }
    *out = web; /* the caller owns it now */
    return 0;
}

void web_stop(struct web *web)
{
    if (!web)
        return;
    atomic_store(&web->stopping, true);
    if (web->keeper_runs)
        pthread_join(web->keeper, NULL);
    warmer_stop(web->warmer);
    work_stop(web->readers);
    work_stop(web->ingest);
    work_stop(web->waiters);
    pthread_mutex_lock(&web->turn);
    shared_answers_end(web);
    pthread_mutex_unlock(&web->turn);
    stream_stop(web->stream);
    if (web->daemon)
        MHD_stop_daemon(web->daemon);
    for (size_t i = 0; i < web->n_former; i++)
        MHD_stop_daemon(web->former[i]);
    stream_free(web->stream);
    work_free(web->readers);
    work_free(web->ingest);
    work_free(web->waiters);
    api_close(web->quick);
    answers_free(web->answers);
    if (!web->options.drift_cache)
        drift_cache_free(web->drift_cache);
    memo_free(web->memo);
    assets_free(web->assets);
    guard_free(web->guard);
    tokens_free(web->tokens);
    sessions_free(web->sessions);
    free(web->hosts);
    config_free(web->config);
    pthread_mutex_destroy(&web->config_lock);
    pthread_mutex_destroy(&web->turn);
    X509_free(web->certificate_x509);
    free(web->certificate);
    if (web->key)
        OPENSSL_cleanse(web->key, strlen(web->key));
    free(web->key);
    free(web);
}

int web_port(const struct web *web)
{
    return web->port;
}

const char *web_url(const struct web *web)
{
    return web->url;
}
