#include "cli/traffic.h"

/* To Kafka, from where it comes back like everybody's; else as if it were posted. */
static bool emit(void *context, const char *topic, const char *key, const void *event, size_t n)
{
    struct traffic *traffic = context;
    return traffic->producer     ? producer_send(traffic->producer, topic, key, event, n)
           : traffic->own_events ? own_events_send(traffic->own_events, event, n)
                                 : false;
}

int traffic_open(struct traffic *traffic, const struct config *config, struct source *http,
                 struct changes *changes, const struct log *log, struct err *err)
{
    struct gateways_options options = {
        .store_path = config->storage_path,
        .changes = changes,
        .log = log,
        .context = traffic,
        .emit = emit,
    };
    int rc = 0;
    if (config->gateway.n_items && config->kafka.brokers)
        rc = producer_new(&traffic->producer, &config->kafka, log, err);
    else if (config->gateway.n_items)
        rc = own_events_new(&traffic->own_events, http, log, err);
    return rc ? rc : gateways_start(&traffic->gateways, config, &options, err);
}

void traffic_stop(struct traffic *traffic)
{
    gateways_stop(traffic->gateways);
    own_events_flush(traffic->own_events);
}

void traffic_close(struct traffic *traffic)
{
    gateways_free(traffic->gateways);
    producer_free(traffic->producer);
    own_events_free(traffic->own_events);
    *traffic = (struct traffic){.gateways = NULL};
}

void traffic_metrics(struct traffic *traffic, struct buf *out)
{
    gateways_metrics(traffic->gateways, out);
    if (!traffic->producer && !traffic->own_events)
        return;
    struct producer_counts counts = traffic->producer ? producer_counts(traffic->producer)
                                                      : own_events_counts(traffic->own_events);
    producer_metrics(&counts, out);
}
