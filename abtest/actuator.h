/*
 * The actuators of `actuators:`, parsed and checked, and what each would say: they carry the weight
 * of an experiment to what really splits the traffic.
 *
 * Shape    http: a request with a templated URL and body · file: a templated text that replaces a
 *          file. {{weight}}, {{control_weight}} percent · {{share}}, {{control_share}} fractions ·
 *          {{weight_bp}}, {{control_weight_bp}} whole hundredths of a percent, sum 10000 ·
 *          {{experiment}} {{model}} {{control}} {{treatment}} {{seq}}
 *          Names are escaped for where they stand: JSON in a body, percent-encoded in a URL; in a
 *          file only letters, digits and ._:@+- are allowed
 * Owner    actuator_set_parse gives, actuator_set_free takes; texts live as long as the set
 * Errors   ERR_USAGE with file, line and key · ERR_DATA: a name cannot stand in a file
 * Threads  read-only after parsing
 */
#pragma once

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/config.h"
#include "common/part.h"

enum actuator_type {
    ACTUATOR_HTTP,
    ACTUATOR_FILE,
    N_ACTUATOR_TYPES
};

enum {
    /* So long after it was told, a slow system may still obey a request that nobody waits for any
       more: twice the longest time-out of a request. */
    ACTUATOR_LATE_MS = 120000
};

struct actuator_confirm {
    const char *url;     /* NULL: a 2xx, or the file's content, is the confirmation */
    const char *pointer; /* JSON pointer into the answer; "": the whole answer is the value */
    const char *equals;  /* template; numbers compare as numbers */
};

struct actuator {
    const char *name;
    const char *experiment;
    enum actuator_type type;
    const char *url;     /* template */
    const char *method;  /* PUT, PATCH or POST */
    const char *path;    /* of the file */
    const char *text;    /* body or template */
    const char *at_zero; /* in place of it at weight 0; NULL: the same */
    const char *at_full; /* … at weight 100 */
    const char *content_type;
    const struct part_pair *headers;
    size_t n_headers;
    const char *token_file; /* read again for each request: tokens rotate; NULL: none */
    const char *proxy, *ca_file;
    bool allow_private;
    int64_t timeout_ms;     /* of one request */
    int64_t reconcile_ms;   /* how often reality is read again */
    const char *notify_pid; /* its process gets a HUP after the file was replaced; NULL: none */
    struct actuator_confirm confirm;
};

struct actuator_set;

int actuator_set_parse(struct actuator_set **out, const struct config *config, struct err *err);
void actuator_set_free(struct actuator_set *set);
DEFINE_FREEP(actuator_set)

size_t actuator_set_count(const struct actuator_set *set);
const struct actuator *actuator_set_at(const struct actuator_set *set, size_t index);

/* What is to be carried. */
struct actuator_wish {
    const char *experiment, *model, *control, *treatment;
    int64_t seq;
    double weight;
};
int actuator_render_url(const struct actuator *actuator, const struct actuator_wish *wish,
                        struct buf *out, struct err *err);
int actuator_render_confirm_url(const struct actuator *actuator, const struct actuator_wish *wish,
                                struct buf *out, struct err *err);
int actuator_render_text(const struct actuator *actuator, const struct actuator_wish *wish,
                         struct buf *out, struct err *err);

/* Does the answer of confirm.url say the wished weight? `found`: what it says, in words. */
bool actuator_confirms(const struct actuator *actuator, const struct actuator_wish *wish,
                       const char *answer, size_t n, char found[64]);
