/*
 * Start, reload, stop, and the one thread that keeps every gateway's table up to date: it sleeps
 * on the change counter, and an experiment's transition is a change, so a rollback is in the
 * table a moment after it is in the database.
 */
#include "web/gateway/gateway.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "web/gateway/inside.h"
#include "web/pem.h"

enum {
    WATCH_MS = 1000,
    HEADER_MS = 10000,
    BODY_MS = 30000,
    IDLE_MS = 60000,
    ANSWER_MS = 60000,
};

/* Addresses are bound once. */
static int check_addresses(const struct gateways *running, const struct gateway_list *list,
                           const struct config *config, struct err *err)
{
    bool same = list->n == running->n;
    for (size_t i = 0; same && i < list->n; i++)
        same = strcmp(list->items[i]->listen, running->items[i].settings->listen) == 0;
    return same ? 0
                : err_set(err, ERR_DATA,
                          "%s:%d: gateway: addresses change with a restart only; the rest can be "
                          "reloaded",
                          config->path, config->gateway.line);
}

int gateways_check(const struct gateways *running, const struct config *config, struct err *err)
{
    struct gateway_list list;
    int rc = gateway_settings_read(&list, config, err);
    if (rc)
        return rc;
    if (running)
        rc = check_addresses(running, &list, config, err);
    gateway_list_finish(&list);
    return rc;
}

struct route_table *gateway_table(struct gateway *gateway)
{
    pthread_mutex_lock(&gateway->lock);
    struct route_table *table = table_take(gateway->table);
    pthread_mutex_unlock(&gateway->lock);
    return table;
}

/* --- the table --- */

struct search {
    const struct gateway_settings *settings;
    struct stored_experiment best;
    bool found;
};

static int rank(const struct stored_experiment *e)
{
    bool on = strcmp(e->state, "running") == 0 || strcmp(e->state, "paused") == 0;
    return on ? 2 : strcmp(e->state, "draft") != 0;
}

/* The one that is named; else of the model's the one that runs, or the one that ended last. */
static int consider(void *context, const struct experiment_row *row, struct err *err)
{
    struct search *search = context;
    const struct gateway_settings *s = search->settings;
    (void)err;
    if (s->experiment ? strcmp(row->name, s->experiment) != 0 : strcmp(row->model, s->model) != 0)
        return 0;
    struct stored_experiment one;
    stored_take(&one, row);
    bool better = !search->found || rank(&one) > rank(&search->best) ||
                  (rank(&one) == rank(&search->best) && one.since_ms >= search->best.since_ms);
    if (!better || !one.object) {
        stored_finish(&one);
        return 0;
    }
    if (search->found)
        stored_finish(&search->best);
    search->best = one;
    search->found = true;
    return 0;
}

static int make_table(struct gateway *gateway, struct gateway_settings *settings,
                      struct store *store, struct route_table **out, struct err *err)
{
    struct search search = {.settings = settings};
    int rc = experiments_read(store, settings->experiment, consider, &search, err);
    if (rc == ERR_NOT_FOUND)
        rc = 0;
    if (rc) {
        if (search.found)
            stored_finish(&search.best);
        return rc;
    }
    rc = table_new(out, settings, search.found ? &search.best : NULL, err);
    for (size_t i = 0; !rc && i < settings->n_upstreams; i++) {
        (*out)->tallies[i] = counts_find(&gateway->counts, settings->upstreams[i].version, err);
        if (!(*out)->tallies[i]) {
            table_drop(*out);
            rc = -ENOMEM;
        }
    }
    return rc;
}

static void tell(const struct gateway *gateway, const struct route_table *table)
{
    const struct gateways_options *options = &gateway->all->options;
    const struct gateway_settings *s = table->settings;
    if (table->fault[0])
        log_write(options->log, LEVEL_WARNING, "gateway", "%s: %s; %s serves", s->listen,
                  table->fault, s->upstreams[table->control].version);
    else if (table->treatment >= 0)
        log_write(options->log, LEVEL_INFO, "gateway", "%s: %s serves %g%%, %s the rest", s->listen,
                  s->upstreams[table->treatment].version, table->experiment.weight,
                  s->upstreams[table->control].version);
}

static int refresh(struct gateway *gateway, struct store *store, struct err *err)
{
    struct route_table *made = NULL;
    pthread_mutex_lock(&gateway->lock);
    struct gateway_settings *settings = settings_take(gateway->settings);
    pthread_mutex_unlock(&gateway->lock);
    int rc = make_table(gateway, settings, store, &made, err);
    settings_drop(settings);
    if (rc)
        return rc;
    if (gateway->table && table_same(gateway->table, made)) {
        table_drop(made);
        return 0;
    }
    tell(gateway, made);
    pthread_mutex_lock(&gateway->lock);
    struct route_table *old = gateway->table;
    gateway->table = made;
    pthread_mutex_unlock(&gateway->lock);
    table_drop(old);
    return 0;
}

static int refresh_all(struct gateways *all, struct store *store, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < all->n; i++)
        rc = refresh(&all->items[i], store, err);
    return rc;
}

static void *watch(void *argument)
{
    struct gateways *all = argument;
    struct store *store = NULL;
    struct log_limit limit = {.every_ms = 60000};
    uint64_t seen = 0;
    while (!atomic_load(&all->stopping)) {
        struct err err = {0};
        uint64_t now = changes_now(all->options.changes);
        int rc = store ? 0 : store_open(&store, all->options.store_path, STORE_READ, &err);
        if (!rc)
            rc = refresh_all(all, store, &err);
        if (rc && log_allowed(&limit, clock_boot_ms(clock_system()), NULL))
            log_write(all->options.log, LEVEL_ERROR, "gateway",
                      "the experiments cannot be read; the last known weights stay: %s", err.text);
        seen = rc ? seen : now;
        changes_wait(all->options.changes, rc ? changes_now(all->options.changes) : seen, WATCH_MS);
    }
    store_free(store);
    return NULL;
}

/* --- start and stop --- */

static int bind_socket(int *out, const struct addrinfo *info, const char *listen_on,
                       struct err *err)
{
    AUTO_CLOSE int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0)
        return err_set(err, -errno, "gateway: %s: %s", listen_on, err_words(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, info->ai_addr, info->ai_addrlen) || listen(fd, 1024))
        return err_set(err, ERR_USAGE, "gateway: %s: %s", listen_on, err_words(errno));
    *out = fd;
    fd = -1; /* the caller owns it now */
    return 0;
}

static int open_socket(struct gateway *gateway, int *fd, struct err *err)
{
    const struct gateway_settings *s = gateway->settings;
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *info = NULL;
    char port[8], name[256];
    size_t n = strlen(s->address);
    bool bracketed = n > 2 && s->address[0] == '[' && s->address[n - 1] == ']';
    snprintf(port, sizeof(port), "%d", s->port);
    snprintf(name, sizeof(name), "%.*s", (int)(n - (bracketed ? 2 : 0)),
             s->address + (bracketed ? 1 : 0));
    int rc = getaddrinfo(name, port, &hints, &info);
    if (rc)
        return err_set(err, ERR_USAGE, "gateway: %s: %s", s->listen, gai_strerror(rc));
    rc = bind_socket(fd, info, s->listen, err);
    freeaddrinfo(info);
    if (rc)
        return rc;
    struct sockaddr_storage bound;
    socklen_t size = sizeof(bound);
    char number[NI_MAXSERV] = "0";
    getsockname(*fd, (struct sockaddr *)&bound, &size);
    getnameinfo((struct sockaddr *)&bound, size, NULL, 0, number, sizeof(number), NI_NUMERICSERV);
    snprintf(gateway->url, sizeof(gateway->url), "%s://%s:%s",
             gateway->certificate ? "https" : "http", s->address, number);
    return 0;
}

static int load_tls(struct gateway *gateway, struct err *err)
{
    const struct gateway_settings *s = gateway->settings;
    if (!s->tls_cert)
        return 0;
    int rc = pem_read(&gateway->certificate, "gateway.tls.cert", s->tls_cert, err);
    return rc ? rc : pem_read(&gateway->key, "gateway.tls.key", s->tls_key, err);
}

static int start_loops(struct gateway *gateway, int listening, struct err *err)
{
    size_t n = (size_t)gateway->settings->threads;
    gateway->loops = calloc(n, sizeof(*gateway->loops));
    if (!gateway->loops)
        return err_set(err, -ENOMEM, "gateway: no memory to start");
    for (size_t i = 0; i < n; i++) {
        int fd = fcntl(listening, F_DUPFD_CLOEXEC, 0);
        if (fd < 0)
            return err_set(err, -errno, "gateway: %s", err_words(errno));
        gateway->n_loops = i + 1;
        int rc = loop_open(&gateway->loops[i], gateway, fd, err);
        if (rc)
            return rc;
    }
    for (size_t i = 0; i < n; i++) {
        struct loop *loop = &gateway->loops[i];
        if (pthread_create(&loop->thread, NULL, loop_run, loop))
            return err_set(err, -EAGAIN, "gateway: no thread to start");
        loop->runs = true;
    }
    return 0;
}

static int start_one(struct gateway *gateway, struct store *store, struct err *err)
{
    const struct gateway_settings *s = gateway->settings;
    AUTO_CLOSE int fd = -1;
    struct guard_limits limits = {
        .connections = (int)s->connections,
        .per_address = (int)s->connections, /* one balancer may bring all of them */
        .header_ms = HEADER_MS,
        .body_ms = BODY_MS,
        .idle_ms = IDLE_MS,
        .answer_ms = ANSWER_MS,
    };
    int rc = load_tls(gateway, err);
    if (!rc)
        rc = guard_new(&gateway->guard, &limits, clock_system(), err);
    if (!rc)
        rc = refresh(gateway, store, err);
    if (!rc)
        rc = open_socket(gateway, &fd, err);
    return rc ? rc : start_loops(gateway, fd, err);
}

static int start_all(struct gateways *all, struct gateway_list *list, struct err *err)
{
    AUTO(store) struct store *store = NULL;
    int rc = store_open(&store, all->options.store_path, STORE_READ, err);
    all->items = calloc(list->n, sizeof(*all->items));
    if (!rc && !all->items)
        rc = err_set(err, -ENOMEM, "gateway: no memory to start");
    for (size_t i = 0; !rc && i < list->n; i++) {
        struct gateway *gateway = &all->items[i];
        gateway->all = all;
        pthread_mutex_init(&gateway->lock, NULL);
        gateway->settings = settings_take(list->items[i]);
        all->n = i + 1;
        rc = start_one(gateway, store, err);
    }
    if (!rc && pthread_create(&all->watcher, NULL, watch, all))
        rc = err_set(err, -EAGAIN, "gateway: no thread to watch experiments");
    all->watches = rc == 0;
    return rc;
}

int gateways_start(struct gateways **out, const struct config *config,
                   const struct gateways_options *options, struct err *err)
{
    struct gateway_list list;
    int rc = gateway_settings_read(&list, config, err);
    if (rc)
        return rc;
    struct gateways *all = calloc(1, sizeof(*all));
    if (!all) {
        gateway_list_finish(&list);
        return err_set(err, -ENOMEM, "gateway: no memory to start");
    }
    all->options = *options;
    all->clock = options->clock ? options->clock : clock_system();
    if (getrandom(&all->id_salt, sizeof(all->id_salt), 0) != (ssize_t)sizeof(all->id_salt))
        all->id_salt = (uint64_t)clock_wall_ms(all->clock);
    if (list.n)
        rc = start_all(all, &list, err);
    gateway_list_finish(&list);
    if (rc) {
        gateways_free(all);
        return rc;
    }
    *out = all; /* the caller owns it now */
    return 0;
}

int gateways_reload(struct gateways *all, const struct config *config, struct err *err)
{
    struct gateway_list list;
    int rc = gateway_settings_read(&list, config, err);
    if (rc)
        return rc;
    rc = check_addresses(all, &list, config, err);
    for (size_t i = 0; !rc && i < list.n; i++) {
        struct gateway *gateway = &all->items[i];
        pthread_mutex_lock(&gateway->lock);
        struct gateway_settings *old = gateway->settings;
        gateway->settings = settings_take(list.items[i]);
        pthread_mutex_unlock(&gateway->lock);
        settings_drop(old);
    }
    gateway_list_finish(&list);
    if (!rc && all->n)
        changes_bump(all->options.changes); /* wakes the watcher */
    return rc;
}

static void stop_loops(struct gateway *gateway)
{
    const uint64_t one = 1;
    atomic_store(&gateway->draining, true);
    for (size_t i = 0; i < gateway->n_loops; i++) {
        atomic_store(&gateway->loops[i].stopping, true);
        if (write(gateway->loops[i].wake, &one, sizeof(one)) < 0)
            continue; /* it looks by itself a few times a second */
    }
}

static void join_loops(struct gateway *gateway)
{
    for (size_t i = 0; i < gateway->n_loops; i++) {
        if (gateway->loops[i].runs)
            pthread_join(gateway->loops[i].thread, NULL);
        gateway->loops[i].runs = false;
    }
}

static void free_one(struct gateway *gateway)
{
    for (size_t i = 0; i < gateway->n_loops; i++)
        loop_close(&gateway->loops[i]);
    free(gateway->loops);
    guard_free(gateway->guard);
    table_drop(gateway->table);
    settings_drop(gateway->settings);
    counts_finish(&gateway->counts);
    pthread_mutex_destroy(&gateway->lock);
    free(gateway->certificate);
    if (gateway->key)
        OPENSSL_cleanse(gateway->key, strlen(gateway->key));
    free(gateway->key);
}

void gateways_stop(struct gateways *all)
{
    if (!all)
        return;
    for (size_t i = 0; i < all->n; i++)
        stop_loops(&all->items[i]);
    atomic_store(&all->stopping, true);
    if (all->watches) {
        changes_bump(all->options.changes);
        pthread_join(all->watcher, NULL);
        all->watches = false;
    }
    for (size_t i = 0; i < all->n; i++)
        join_loops(&all->items[i]);
}

void gateways_free(struct gateways *all)
{
    if (!all)
        return;
    gateways_stop(all);
    for (size_t i = 0; i < all->n; i++)
        free_one(&all->items[i]);
    free(all->items);
    free(all);
}

void gateways_metrics(struct gateways *all, struct buf *out)
{
    struct counted counted[GATEWAYS_MAX];
    struct route_table *tables[GATEWAYS_MAX];
    if (!all)
        return;
    for (size_t i = 0; i < all->n; i++) {
        struct gateway *gateway = &all->items[i];
        tables[i] = gateway_table(gateway);
        counted[i] = (struct counted){
            .name = tables[i]->settings->listen,
            .model = tables[i]->settings->model,
            .counts = &gateway->counts,
            .share = table_share(tables[i]),
            .connections = guard_counts(gateway->guard).open,
        };
    }
    counts_print(out, counted, all->n);
    for (size_t i = 0; i < all->n; i++)
        table_drop(tables[i]);
}

size_t gateways_n(const struct gateways *all)
{
    return all ? all->n : 0;
}

const char *gateways_url(const struct gateways *all, size_t i)
{
    return all->items[i].url;
}
