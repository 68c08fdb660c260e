/*
 * Questions to a site's database by value, without HTTP, and what their answers say.
 *
 * Owner    get gives, json_decref takes; what text gives lives as long as the answer
 * Errors   get and at fail the test when there is no such answer, or nothing at that path
 */
#pragma once

#include <jansson.h>

#include "tests/web/site.h"
#include "web/api.h"

/* Two models, three versions and two slices over two minutes; not serving. */
struct site *site_filled(void);
/* Fills `answer`, which api_answer_finish takes. */
int call(const struct site *site, const char *method, const char *target, const char *body,
         struct api_answer *answer, struct err *err);
json_t *get(const struct site *site, const char *target);
/* "series.0.points.1" */
json_t *at(json_t *json, const char *path);
double number(json_t *json, const char *path);
const char *text(json_t *json, const char *path);
