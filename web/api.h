/*
 * Requests and answers without HTTP in them: what the server and `assay query` both call.
 *
 * Shape    api_call finds the route, checks the parameters against its table and runs the handler,
 *          which fills `answer`
 * Units    `from`, `to`: ms since the epoch or RFC 3339 · `window`, `step`: durations ("1h") or ms
 * Owner    api_open gives, api_close takes; an api_answer is the caller's: api_answer_finish
 * Errors   ERR_USAGE: a parameter is off (400; answer->field and answer->allowed say which) ·
 *          ERR_NOT_FOUND: 404 · ERR_DATA: 422 · ERR_FULL, WEB_BUSY: 429 · else 500
 * Threads  an api_context belongs to one thread at a time
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/err.h"
#include "web/commands.h"

struct api_context;

struct changes;

struct api_options {
    const struct config *config; /* NULL: what the database keeps of one (model_settings.h) */
    const char *store_path;
    const struct web_commands *commands; /* NULL: reading only */
    const struct clock *clock;           /* NULL: the system's */
    struct changes *changes;             /* NULL: nothing is remembered between questions */
    struct drift_cache *drift_cache;     /* shared by contexts; NULL: each has its own */
    struct memo *memo;                   /* shared by contexts; NULL: series are merged anew */
    /* The server's own counters as OpenMetrics lines; NULL without a server. */
    void (*web_metrics)(void *web, struct buf *out);
    bool (*stopping)(void *web); /* whoever waits should end; NULL: never */
    /* Gives a share of the configuration in force, NULL while that is `config`. The function NULL:
       it never changes. */
    struct config *(*config_now)(void *web);
    void *web;
};

int api_open(struct api_context **out, const struct api_options *options, struct err *err);
void api_close(struct api_context *context);
static inline void api_context_freep(struct api_context **p)
{
    api_close(*p);
}

enum {
    API_MAX_PARAMS = 64
};

struct api_param {
    const char *name;
    const char *value;
};

struct api_request {
    const char *method; /* "GET" */
    const char *target; /* "/api/v1/models/credit/metrics?window=1h", percent-encoded */
    const char *body;
    size_t body_size;
    const char *who; /* the token's name, for the audit log; NULL: nobody was asked */
    bool csv;        /* Accept: text/csv */
    bool prometheus; /* Accept: text/plain alone: metrics in the older format */
};

/* Builds a target: a path segment with its slash, and a parameter with its '?' or '&'. */
void api_target_segment(struct buf *target, const char *segment);
void api_target_param(struct buf *target, const char *name, const char *value);

struct api_answer {
    int status; /* 200 … */
    const char *content_type;
    struct buf body;
    /* Of an error: the parameter at fault and what it may be. */
    char field[128];
    char allowed[512];  /* separated by newlines */
    char location[512]; /* the path of what was made; "": nothing was, or it has none */
    int retry_after_s;  /* with 429; 0: none */
};

void api_answer_init(struct api_answer *answer);
/* Says where what was made is: `segment` below the path of its collection. */
void api_answer_locate(struct api_answer *answer, const char *collection, const char *segment);
void api_answer_finish(struct api_answer *answer);

int api_call(struct api_context *context, const struct api_request *request,
             struct api_answer *answer, struct err *err);
