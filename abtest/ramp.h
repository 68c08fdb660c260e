/*
 * The ramp of an experiment as a pure state machine: which step it is in, and what a verdict or a
 * person's command makes of it.
 *
 * Shape    draft → running ⇄ paused → promoted | rolled_back; the last two are final
 *          a person's command wins over the engine. While paused, automation may only lower the
 *          share (roll back); while frozen it does nothing at all
 * Units    since_ms, started_ms: event time (the watermark) · silent_since_ms: wall clock, since a
 *          look first held for want of data, 0: it does not · weight: percent
 * Owner    plain values
 * Errors   RAMP_CONFLICT: the state does not allow the command; err says which does
 * Threads  any
 */
#pragma once

#include "abtest/experiment.h"

enum {
    RAMP_CONFLICT = 1
};

enum ramp_phase {
    RAMP_DRAFT,
    RAMP_RUNNING,
    RAMP_PAUSED,
    RAMP_PROMOTED,
    RAMP_ROLLED_BACK,
    N_RAMP_PHASES
};
/* "draft", "running", "paused", "promoted", "rolled_back"; -1 for another word. */
const char *ramp_phase_name(enum ramp_phase phase);
int ramp_phase_parse(const char *name);

struct ramp_state {
    enum ramp_phase phase;
    bool frozen;
    int step;
    int approved; /* highest step that a person has approved; -1: none */
    int64_t started_ms;
    int64_t since_ms; /* when the step began (or the final state was reached) */
    int64_t silent_since_ms;
};

struct ramp_now {
    int64_t event_ms; /* the watermark */
    int64_t wall_ms;
};

enum verdict_kind {
    VERDICT_CONTINUE,
    VERDICT_ADVANCE,
    VERDICT_PROMOTE,
    VERDICT_HOLD,
    VERDICT_ROLLBACK,
    N_VERDICTS
};
/* "continue", "advance", "promote", "hold", "rollback". */
const char *verdict_name(enum verdict_kind kind);

enum ramp_command {
    COMMAND_START,
    COMMAND_PAUSE,
    COMMAND_RESUME,
    COMMAND_JUMP, /* to `step`, up or down */
    COMMAND_FREEZE,
    COMMAND_APPROVE, /* the next step that waits for it, or `step` when that is >= 0 */
    COMMAND_PROMOTE,
    COMMAND_ROLLBACK,
    N_COMMANDS
};
const char *ramp_command_name(enum ramp_command command);
int ramp_command_parse(const char *name);

struct ramp_state ramp_draft(void);

/* What the engine's verdict makes of the state; `no_data`: the hold is for that reason. */
struct ramp_state ramp_step(struct ramp_state state, const struct experiment *experiment,
                            enum verdict_kind verdict, bool no_data, struct ramp_now now);

/* What a person's command makes of it. 0, or RAMP_CONFLICT with the state unchanged. */
int ramp_command(struct ramp_state *state, const struct experiment *experiment,
                 enum ramp_command command, int step, struct ramp_now now, struct err *err);

/* Percent of traffic the treatment is to serve: draft 0, paused keeps, promoted 100, rolled back 0.
 */
double ramp_weight(const struct ramp_state *state, const struct experiment *experiment);

static inline bool ramp_final(const struct ramp_state *state)
{
    return state->phase == RAMP_PROMOTED || state->phase == RAMP_ROLLED_BACK;
}
