/*
 * Addresses of the page that messages link to: the right model, version, slice and window.
 *
 * Shape    `url` is the page's own address; without one ("") nothing is written
 * Source   what the pages of web/ui read from their address (route.js)
 */
#pragma once

#include "alerts/reading.h"
#include "common/buf.h"

/* The release that an experiment is; "": all of them. */
void page_url_release(struct buf *out, const char *url, const char *experiment);

/* Where the reading of a rule is seen: its window and the eleven before it, the release, or, of what
   is no model's, the page that shows it. */
void page_url_alert(struct buf *out, const char *url, const struct alert_rule *rule,
                    const struct reading *reading);
