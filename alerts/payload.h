/*
 * A notification as each kind of receiver wants to read it.
 *
 * Shape    the outbox keeps one canonical JSON (`data` below); the body for a receiver is made
 *          from it at each attempt, so that no secret is ever stored
 *          {"type":"alert.firing","at":ms,"group":"…","group_id":"…","url":"…","summary":"…",
 *          "firing":1,"resolved":0,"more":0,"audit":{"seq","hash"},"alerts":[{"key","name","status",
 *          "severity","model","version","segment","metric","value","lower","upper","n","labelled",
 *          "level","since","over","window":{"start","end"},"labels":{},"annotations":{},"summary",
 *          "confidence","cause","action","url"}]}
 *          audit: the head of the audit log · summary: what changed · confidence: how sure ·
 *          cause: what moved · action: what Assay did · over: wall clock at which it ended, in
 *          resolved ones
 * Errors   ERR_DATA: the stored JSON is damaged
 * Threads  any
 * Source   Standard Webhooks 1.0.0; Alertmanager API v2; PagerDuty Events API v2; Slack incoming
 *          webhooks and Block Kit; Opsgenie Alert API; Microsoft Teams workflows (Adaptive Cards)
 */
#pragma once

#include "alerts/receiver.h"
#include "common/buf.h"

struct payload {
    const char *method;
    const char *content_type;
    char url_suffix[640]; /* appended to the receiver's URL */
    char url[1024];       /* instead of the receiver's; "": that one */
    struct buf body;
};

/* `now_ms`: wall clock of the attempt (Alertmanager's endsAt is relative to it). */
int payload_render(struct payload *out, const struct receiver *receiver, const char *data,
                   int64_t now_ms, struct err *err);
void payload_finish(struct payload *payload);

/* What `{{…}}` in a free body and in annotations may name. */
const char *const *payload_fields(size_t *n);
