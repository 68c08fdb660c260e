/*
 * Experiments as stored, for the handlers that answer about them: rows as JSON values.
 *
 * Owner    new references; json_decref
 * Errors   ERR_NOT_FOUND: no such experiment, with the near name
 */
#pragma once

#include <jansson.h>

#include "storage/transition.h"
#include "web/handlers.h"

/* What a caller must know to assign a unit. Texts are the experiment's own: stored_finish. */
struct stored_experiment {
    json_t *object;  /* contract §4, with its defaults */
    json_t *verdict; /* the last one; {} before the first look */
    char name[129], state[16];
    int step;
    double weight;
    int64_t since_ms, seq, created_ms;
    bool applying;
    bool frozen;  /* the engine does nothing until resume */
    int approved; /* the last step that a person has approved; -1: none */
};
int stored_read(struct store *store, const char *name, struct stored_experiment *out,
                struct err *err);
/* The one that the request's path names. */
int stored_asked(struct api_context *context, const struct api_input *input, struct store **store,
                 struct stored_experiment *out, struct err *err);
void stored_finish(struct stored_experiment *experiment);
void stored_take(struct stored_experiment *out, const struct experiment_row *row);

const char *stored_text(const struct stored_experiment *experiment, const char *key);
/* Does the treatment serve this unit? */
bool stored_treats(const struct stored_experiment *experiment, const char *unit, size_t n);
/* The experiment object with state, step, weight, since, units and verdict. */
json_t *stored_print(const struct stored_experiment *experiment);

/* Writes the JSON and drops the reference; NULL: no memory. */
int answer_json(struct api_answer *answer, json_t *json, struct err *err);
