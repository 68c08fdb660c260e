/*
 * A silence as Alertmanager writes it, in our own words: `matchers` of {name, value, isRegex,
 * isEqual} become texts, `endsAt` becomes `until`; what Alertmanager fills in itself (`id`, `status`,
 * `updatedAt`) goes. `startsAt` and `createdBy` stay as they are. A body in our own words is left
 * alone.
 *
 * Errors   ERR_DATA names the matcher, and what it lacks
 * Source   Alertmanager's API v2, postableSilence
 */
#pragma once

#include <jansson.h>

#include "common/err.h"

int silence_body_translate(json_t *body, struct err *err);
