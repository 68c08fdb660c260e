/*
 * The gateways beside the collector: their requests, and the way that their events take into it.
 *
 * Shape    traffic_open → traffic_stop, while the collector still takes events → traffic_close
 * Owner    traffic_open fills, traffic_close takes what it filled (zeroed memory is fine); what it
 *          is given is borrowed
 * Threads  open and close: one; stop and metrics: any
 */
#pragma once

#include "collector/own_events.h"
#include "collector/producer.h"
#include "storage/changes.h"
#include "web/gateway/gateway.h"

struct traffic {
    struct producer *producer;     /* of events, where there is Kafka; */
    struct own_events *own_events; /* … and where there is none */
    struct gateways *gateways;
};

int traffic_open(struct traffic *traffic, const struct config *config, struct source *http,
                 struct changes *changes, const struct log *log, struct err *err);
/* Requests end, and what they told can be counted. */
void traffic_stop(struct traffic *traffic);
void traffic_close(struct traffic *traffic);

void traffic_metrics(struct traffic *traffic, struct buf *out);
