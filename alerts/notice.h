/*
 * The words: what an alert, and a group of them, says to people; as the canonical JSON that the
 * outbox keeps (alerts/payload.h).
 *
 * Owner    texts that are given out are malloc'd, the caller's
 */
#pragma once

#include <jansson.h>

#include "alerts/background.h"
#include "alerts/route.h"
#include "alerts/rule.h"

enum {
    NOTICE_ID_BYTES = 17, /* 16 hex digits and a NUL */
    NOTICE_MAX_LABELS = 64,
};

/* The alert's identity: stable over restarts and over firing and resolved. */
void notice_id(char out[NOTICE_ID_BYTES], const struct alert_rule *rule);
/* A group's: what PagerDuty and Opsgenie deduplicate on. */
void notice_group_id(char out[NOTICE_ID_BYTES], const char *group_key);

/* One alert as JSON text (notice_alert.c); NULL: no memory. */
struct notice_facts {
    const char *id; /* the alert's, as notice_id gives it */
    const struct alert_state *state;
    const struct reading *reading;
    const struct background *background; /* NULL: none */
    int64_t over_ms;                     /* wall clock at which it was resolved; -1: it was not */
    const char *url;                     /* of the page, may be "" */
};
char *notice_alert(const struct alert_rule *rule, const struct notice_facts *facts);

/* Sorted labels of a rule's alert, for routes and silences; pairs has NOTICE_MAX_LABELS places. */
size_t notice_labels(const struct alert_rule *rule, struct part_pair *pairs);

/*
 * A group's message from its alerts' JSON texts, each marked firing or resolved. Beyond `max_bytes`
 * of alerts (the first one always fits) notice_add adds nothing and says NOTICE_FULL; notice_count
 * then puts it into `more`. notice_finish gives the text, NULL: no memory.
 */
enum {
    NOTICE_FULL = 1,
    NOTICE_BYTES = 18 * 1000,      /* Standard Webhooks: bodies below 20 kB */
    NOTICE_WIDE_BYTES = 200 * 1000 /* for programs that have to get every single alert */
};
struct notice;
struct notice *notice_start(const char *group_key, const char *url, size_t max_bytes);
void notice_free(struct notice *notice);
/* 0, NOTICE_FULL, or < 0: its JSON is damaged. */
int notice_add(struct notice *notice, const char *alert_json, bool firing);
void notice_count(struct notice *notice, bool firing);
/* So many older notifications were never sent: this message takes their place, and says so. */
void notice_missed(struct notice *notice, int64_t n);
/* `audit`: the head of the audit log (announce_audit_head); borrowed. */
char *notice_finish(const struct notice *notice, int64_t at_ms, json_t *audit, const char **type);
