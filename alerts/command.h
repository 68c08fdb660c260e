/*
 * What people do to alerts: silence, end a silence, acknowledge, send a failed notification again.
 * Each is one transaction with its audit row.
 *
 * Units    now_ms: wall clock; silences run on it
 * Errors   ERR_DATA: the body is off, the message names the key · ERR_NOT_FOUND: no such thing
 * Threads  the writer's, outside a commit
 */
#pragma once

#include <stdint.h>

#include "alerts/receiver.h"
#include "common/buf.h"
#include "common/err.h"
#include "storage/store.h"

/* Who does it, and when. */
struct actor {
    const char *who; /* a token's name, or "operator" */
    int64_t now_ms;
};

/*
 * {"matchers":["model=\"credit\""],"duration":"2h" | "until":T,"comment":"…"}; writes the silence
 * as JSON, with its id.
 */
int alerts_silence(struct store *store, const char *text, const struct actor *actor,
                   struct buf *answer, struct err *err);
int alerts_silence_end(struct store *store, int64_t id, const struct actor *actor, struct err *err);
/*
 * `body`: {"reason": "…"} or {}; the reason goes to the audit log. `receivers`: those that know
 * acknowledgement (PagerDuty, Opsgenie) are told; NULL: nobody is.
 */
int alerts_ack(struct store *store, const char *alert, const char *body, const struct actor *actor,
               const struct receiver_set *receivers, struct err *err);
int alerts_send_again(struct store *store, int64_t outbox_id, const char *body,
                      const struct actor *actor, struct err *err);
