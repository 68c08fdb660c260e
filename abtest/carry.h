/*
 * What an actuator does to the world: one request or one replaced file, and one look at what is
 * really there.
 *
 * Shape    carry_apply says the weight; carry_look reads it back (confirm.url, else the file, else
 *          nothing: then a 2xx is all that can be known). Both may be repeated without harm
 * Units    retry_after_ms: -1: not asked for
 * Owner    plain values
 * Errors   none: what went wrong is in `problem`
 * Threads  any; blocks for at most the actuator's timeout. `stop` is asked about once a second,
 *          true ends the request
 */
#pragma once

#include "abtest/actuator.h"

enum carried {
    CARRIED_DONE,   /* apply: it was taken · look: reality is as wished */
    CARRIED_OTHER,  /* look: reality is otherwise; `found` says how */
    CARRIED_BLIND,  /* look: this actuator cannot be read back */
    CARRIED_FAILED, /* no answer, or a refusal: `problem` */
};

struct carry_report {
    int status; /* HTTP; 0: none */
    int64_t retry_after_ms;
    char problem[256];
    char found[64];
};

struct carry {
    const struct actuator *actuator;
    const struct actuator_wish *wish;
    bool (*stop)(void *context);
    void *context;
};

enum carried carry_apply(const struct carry *carry, struct carry_report *report);
enum carried carry_look(const struct carry *carry, struct carry_report *report);
