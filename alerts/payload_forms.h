/*
 * The forms of payload.c, one file for each family of receivers. No other file includes it.
 *
 * Shape    each takes the outbox's canonical JSON (alerts/payload.h) and gives the body; `out` gets
 *          what the URL differs by
 * Owner    the caller's; NULL: no memory, or a text that is not UTF-8
 */
#pragma once

#include <jansson.h>

#include "alerts/payload.h"
#include "common/text.h"

json_t *form_slack(const json_t *data);
json_t *form_teams(const json_t *data);

json_t *form_pagerduty(struct payload *out, json_t *data, const struct receiver *receiver);
json_t *form_opsgenie(struct payload *out, const json_t *data);
json_t *form_alertmanager(struct payload *out, const json_t *data, int64_t now_ms);

/* "" where there is none. */
const char *form_text(const json_t *object, const char *key);
/* NULL where there is none. */
const char *form_time(const json_t *object, const char *key, char out[TEXT_TIME_BYTES]);
json_t *form_first_alert(const json_t *data);
bool form_is_firing(const json_t *alert);
/* Has everything in the message ended? */
bool form_is_resolved(const json_t *data);
/* The annotation, or "" . */
const char *form_runbook(const json_t *alert);
/* How many bytes of `text` hold its first n characters: never in the midst of one. */
size_t form_fit(const char *text, size_t n_characters);
