/*
 * What the Kafka client is set to: our defaults, then the configuration's properties, then what may
 * not be otherwise.
 *
 * Owner    the conf stays the caller's
 * Errors   ERR_USAGE names the property
 * Threads  any
 */
#pragma once

#include <librdkafka/rdkafka.h>

#include "common/config.h"
#include "common/err.h"

/* For `assay check`, and before `assay serve`: whether the client knows the properties and takes
   their values. ERR_DATA with file, line and key. */
int kafka_properties_check(const struct config *config, struct err *err);

/* Asks a broker how many partitions there are (waits two seconds at most). instance: "" none. */
int kafka_configure(rd_kafka_conf_t *conf, const struct config_kafka *kafka, const char *instance,
                    struct err *err);
