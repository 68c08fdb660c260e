/*
 * The one table of what can be asked: requests are checked against it, and /api/v1/openapi.json is
 * written from it, so that the description is true.
 *
 * Shape    a route is method + pattern ("/api/v1/models/{model}/metrics") + scope + handler +
 *          parameters; a parameter that the table does not name is refused, with the near ones
 * Errors   ERR_USAGE (400) with the parameter in answer->field and what it may be in
 *          answer->allowed; routes_find has outcomes of its own
 * Threads  any: the table is constant
 */
#pragma once

#include "web/api.h"
#include "web/target.h"
#include "web/token.h"

enum param_type {
    PARAM_TEXT,
    PARAM_MANY,     /* the same, any number of times */
    PARAM_NEEDED,   /* text that has to be given */
    PARAM_LIST,     /* names separated by commas; commas inside {…} and "…" do not separate */
    PARAM_TIME,     /* ms since the epoch or RFC 3339 */
    PARAM_DURATION, /* "1h" or ms; a multiple of a minute above 0 */
    PARAM_INTEGER,  /* within min..max */
    PARAM_CHOICE,   /* one of `choices` */
    PARAM_SEGMENT,  /* key:value */
    PARAM_WAIT,     /* "60s": how long an answer may be held back */
};

struct route_param {
    const char *name;
    enum param_type type;
    const char *choices; /* "json,csv" */
    int64_t min, max;
    const char *help;
    const char *example;
};

enum route_kind {
    ROUTE_READ,    /* on a query worker */
    ROUTE_CACHED,  /* the same; equal questions have equal answers until the change counter moves */
    ROUTE_INGEST,  /* waits for the writer; body of events up to 8 MiB */
    ROUTE_UPLOAD,  /* the same; body up to 64 MiB */
    ROUTE_WAIT,    /* may wait for something to happen; on threads of its own */
    ROUTE_QUICK,   /* answered at once, from memory but for the first question after a change */
    ROUTE_STREAM,  /* server-sent events */
    ROUTE_SESSION, /* signs in and out: the server's own */
};

struct api_input;
typedef int route_handler(struct api_context *context, const struct api_input *input,
                          struct api_answer *answer, struct err *err);

enum {
    ROUTE_MAX_PARAMS = 10
};

struct route {
    const char *method;
    const char *pattern;
    enum scope scope;
    enum route_kind kind;
    route_handler *handler;
    const char *name; /* operationId */
    const char *summary;
    const char *answer; /* schema of the answer's JSON, in schemas/api.json; or a content type */
    const char *body;   /* schema of the body; NULL: takes none */
    int status;         /* of the answer when all is well */
    bool csv;           /* can answer text/csv */
    struct route_param params[ROUTE_MAX_PARAMS]; /* until one without a name */
};

const struct route *routes_table(size_t *n);

/* A request as its handler sees it: route, decoded captures, checked parameters. */
struct api_input {
    const struct api_request *request;
    const struct route *route;
    const struct target *target;
};

enum {
    ROUTE_UNKNOWN = 1, /* no such path; err has the near one */
    ROUTE_METHOD = 2,  /* the path is there; answer->allowed are the methods */
};

/* HEAD finds the GET route. */
int routes_find(const struct route **out, const char *method, const struct target *target,
                struct api_answer *answer, struct err *err);
/* Checks each parameter against the route's table. */
int routes_check(const struct route *route, const struct target *target, struct api_answer *answer,
                 struct err *err);

/* The text under "{name}" of the pattern; "" when the pattern has none of that name. */
const char *input_capture(const struct api_input *input, const char *name);
/* The parameter's text, or NULL when it was not given. */
const char *input_param(const struct api_input *input, const char *name);
/* Checked before; `otherwise` when not given. */
int64_t input_time(const struct api_input *input, const char *name, int64_t otherwise);
int64_t input_duration(const struct api_input *input, const char *name, int64_t otherwise);
int64_t input_integer(const struct api_input *input, const char *name, int64_t otherwise);
bool input_csv(const struct api_input *input);

/* Says that a parameter is off: fills answer->field and answer->allowed; ERR_USAGE. */
int api_refuse(struct api_answer *answer, struct err *err, const char *field, const char *allowed,
               const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The next name of a comma-separated list, from *at on; false at the end. */
bool list_next(const char **at, const char **name, size_t *n);
