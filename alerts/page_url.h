/*
 * Addresses of the page that messages link to: the right model, version, slice and window.
 *
 * Shape    `url` is the page's own address; without one ("") nothing is written
 * Source   what web/ui/router.js understands
 */
#pragma once

#include "alerts/reading.h"
#include "common/buf.h"

/* The page of a model's version; version NULL or "": of the model. */
void page_url_model(struct buf *out, const char *url, const char *model, const char *version);

/* Where the reading of a rule is seen: its window and the eleven before it. */
void page_url_alert(struct buf *out, const char *url, const struct alert_rule *rule,
                    const struct reading *reading);
