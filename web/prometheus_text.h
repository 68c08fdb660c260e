/*
 * A page of OpenMetrics as Prometheus' older text format, for readers that ask for that alone.
 *
 * Shape    a counter's family bears its samples' name (`x_total`), an info is a gauge (`x_info`);
 *          without units and `# EOF`. Families have their TYPE first
 * Owner    the page stays the caller's; its bytes are replaced
 * Errors   -ENOMEM
 * Source   Prometheus, exposition formats, text 0.0.4
 */
#pragma once

#include <stdbool.h>

#include "common/buf.h"
#include "common/err.h"

/* Does an Accept header ask for it? Whoever names neither form gets OpenMetrics. */
bool prometheus_text_wanted(const char *accept);
int prometheus_text(struct buf *page, struct err *err);
