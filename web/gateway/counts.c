#include "web/gateway/counts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

/* Upper bounds in µs. */
static const int64_t bounds[N_LATENCY_BUCKETS] = {500,     1000,    2500,    5000,    10000,
                                                  25000,   50000,   100000,  250000,  500000,
                                                  1000000, 2500000, 5000000, 10000000};

const char *failure_name(enum failure failure)
{
    static const char *const names[N_FAILURES] = {"",           "refused",    "timeout",
                                                  "connection", "overloaded", "status"};
    return names[failure];
}

struct tally *counts_find(struct gateway_counts *counts, const char *version, struct err *err)
{
    int n = atomic_load(&counts->n_tallies);
    for (int i = 0; i < n; i++)
        if (strcmp(counts->tallies[i]->version, version) == 0)
            return counts->tallies[i];
    if (n == TALLIES_MAX)
        return counts->tallies[TALLIES_MAX - 1];
    struct tally *tally = calloc(1, sizeof(*tally));
    if (!tally) {
        err_set(err, -ENOMEM, "gateway: no memory to count");
        return NULL;
    }
    memcpy(tally->version, version, strlen(version) + 1);
    counts->tallies[n] = tally;
    atomic_store(&counts->n_tallies, n + 1);
    return tally;
}

void counts_finish(struct gateway_counts *counts)
{
    for (int i = 0; i < atomic_load(&counts->n_tallies); i++)
        free(counts->tallies[i]);
}

void tally_latency(struct tally *tally, int64_t us)
{
    int i = 0;
    while (i < N_LATENCY_BUCKETS && us > bounds[i])
        i++;
    atomic_fetch_add(&tally->latency[i], 1);
    atomic_fetch_add(&tally->latency_us, us);
}

static void family(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# TYPE assay_gateway_%s %s\n# HELP assay_gateway_%s %s\n", name, type, name,
               help);
}

/* The escapes of OpenMetrics are among those of JSON. */
static void labels(struct buf *out, const char *name, const struct counted *gateway,
                   const struct tally *tally, const char *more, const char *value)
{
    buf_printf(out, "assay_gateway_%s{gateway=", name);
    json_text(out, gateway->name, strlen(gateway->name));
    if (tally) {
        buf_printf(out, ",model=");
        json_text(out, gateway->model, strlen(gateway->model));
        buf_printf(out, ",version=");
        json_text(out, tally->version, strlen(tally->version));
    }
    if (more)
        buf_printf(out, ",%s=\"%s\"", more, value);
    buf_printf(out, "} ");
}

static void requests(struct buf *out, const struct counted *gateway, const struct tally *tally)
{
    static const char *const classes[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    for (int i = 0; i < 6; i++) {
        if (i == 1)
            continue;
        labels(out, "requests_total", gateway, tally, "code", classes[i]);
        buf_printf(out, "%lld\n", atomic_load(&tally->by_class[i]));
    }
}

static void errors(struct buf *out, const struct counted *gateway, const struct tally *tally)
{
    for (int i = 1; i < N_FAILURES; i++) {
        labels(out, "errors_total", gateway, tally, "reason", failure_name((enum failure)i));
        buf_printf(out, "%lld\n", atomic_load(&tally->failures[i]));
    }
}

static void resends(struct buf *out, const struct counted *gateway, const struct tally *tally)
{
    labels(out, "resends_total", gateway, tally, NULL, NULL);
    buf_printf(out, "%lld\n", atomic_load(&tally->resends));
}

static void in_flight(struct buf *out, const struct counted *gateway, const struct tally *tally)
{
    labels(out, "in_flight", gateway, tally, NULL, NULL);
    buf_printf(out, "%d\n", atomic_load(&tally->in_flight));
}

static void latency(struct buf *out, const struct counted *gateway, const struct tally *tally)
{
    char bound[TEXT_NUMBER_BYTES];
    long long sum = 0;
    for (int i = 0; i <= N_LATENCY_BUCKETS; i++) {
        sum += atomic_load(&tally->latency[i]);
        labels(out, "latency_seconds_bucket", gateway, tally, "le",
               i < N_LATENCY_BUCKETS ? number_print(bound, (double)bounds[i] / 1e6) : "+Inf");
        buf_printf(out, "%lld\n", sum);
    }
    labels(out, "latency_seconds_count", gateway, tally, NULL, NULL);
    buf_printf(out, "%lld\n", sum);
    labels(out, "latency_seconds_sum", gateway, tally, NULL, NULL);
    buf_printf(out, "%.6f\n", (double)atomic_load(&tally->latency_us) / 1e6);
}

static void own(struct buf *out, const struct counted *gateways, size_t n)
{
    static const char *const refusals[N_REFUSALS] = {"framing", "method", "too_large", "draining"};
    family(out, "refused", "counter", "Requests that were not sent on, by reason.");
    for (size_t g = 0; g < n; g++)
        for (int i = 0; i < N_REFUSALS; i++) {
            labels(out, "refused_total", &gateways[g], NULL, "reason", refusals[i]);
            buf_printf(out, "%lld\n", atomic_load(&gateways[g].counts->refusals[i]));
        }
    family(out, "events", "counter", "Prediction events handed to the Kafka client.");
    for (size_t g = 0; g < n; g++) {
        labels(out, "events_total", &gateways[g], NULL, NULL, NULL);
        buf_printf(out, "%lld\n", atomic_load(&gateways[g].counts->events));
    }
    family(out, "events_lost", "counter", "Prediction events for which there was no room.");
    for (size_t g = 0; g < n; g++) {
        labels(out, "events_lost_total", &gateways[g], NULL, NULL, NULL);
        buf_printf(out, "%lld\n", atomic_load(&gateways[g].counts->events_lost));
    }
    family(out, "clients_left", "counter", "Answers that the client did not wait for.");
    for (size_t g = 0; g < n; g++) {
        labels(out, "clients_left_total", &gateways[g], NULL, NULL, NULL);
        buf_printf(out, "%lld\n", atomic_load(&gateways[g].counts->client_left));
    }
    family(out, "connections", "gauge", "Open connections of clients.");
    for (size_t g = 0; g < n; g++) {
        labels(out, "connections", &gateways[g], NULL, NULL, NULL);
        buf_printf(out, "%d\n", gateways[g].connections);
    }
    family(out, "treatment_ratio", "gauge", "Share of units that treatment serves.");
    for (size_t g = 0; g < n; g++) {
        labels(out, "treatment_ratio", &gateways[g], NULL, NULL, NULL);
        buf_printf(out, "%.6g\n", gateways[g].share);
    }
}

void counts_print(struct buf *out, const struct counted *gateways, size_t n)
{
    static const struct {
        const char *name, *type, *help;
        void (*print)(struct buf *out, const struct counted *gateway, const struct tally *tally);
    } families[] = {
        {"requests", "counter", "Tries of an upstream, by class of its answer.", requests},
        {"errors", "counter", "Tries that failed, by reason.", errors},
        {"resends", "counter", "Tries that failed and that control answered instead.", resends},
        {"in_flight", "gauge", "Tries under way.", in_flight},
        {"latency_seconds", "histogram", "Time to the whole answer of an upstream.", latency},
    };
    if (n == 0)
        return;
    for (size_t f = 0; f < sizeof(families) / sizeof(*families); f++) {
        family(out, families[f].name, families[f].type, families[f].help);
        for (size_t g = 0; g < n; g++)
            for (int i = 0; i < atomic_load(&gateways[g].counts->n_tallies); i++)
                families[f].print(out, &gateways[g], gateways[g].counts->tallies[i]);
    }
    own(out, gateways, n);
}
