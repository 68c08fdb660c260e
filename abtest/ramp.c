/*
 *            start                    pause, freeze
 *   draft ────────────▶ running(step) ◀────────────▶ paused(step)      resume
 *     │                    │  │ advance: step + 1       │ │
 *     │                    │  │ jump: any step          │ │
 *     │          promote ◀─┘  └─▶ rollback ◀────────────┘ └─▶ promote (a person only)
 *     └─ rollback
 */
#include "abtest/ramp.h"

#include <errno.h>
#include <string.h>

static const char *const phases[N_RAMP_PHASES] = {"draft", "running", "paused", "promoted",
                                                  "rolled_back"};
static const char *const verdicts[N_VERDICTS] = {"continue", "advance", "promote", "hold",
                                                 "rollback"};
static const char *const commands[N_COMMANDS] = {"start",  "pause",   "resume",  "jump",
                                                 "freeze", "approve", "promote", "rollback"};

const char *ramp_phase_name(enum ramp_phase phase)
{
    return phase < N_RAMP_PHASES ? phases[phase] : NULL;
}

const char *verdict_name(enum verdict_kind kind)
{
    return kind < N_VERDICTS ? verdicts[kind] : NULL;
}

const char *ramp_command_name(enum ramp_command command)
{
    return command < N_COMMANDS ? commands[command] : NULL;
}

static int word_index(const char *name, const char *const *words, int n)
{
    for (int i = 0; name && i < n; i++)
        if (strcmp(words[i], name) == 0)
            return i;
    return -1;
}

int ramp_phase_parse(const char *name)
{
    return word_index(name, phases, N_RAMP_PHASES);
}

int ramp_command_parse(const char *name)
{
    return word_index(name, commands, N_COMMANDS);
}

struct ramp_state ramp_draft(void)
{
    return (struct ramp_state){.phase = RAMP_DRAFT, .approved = -1};
}

static struct ramp_state entered(struct ramp_state state, int step, struct ramp_now now)
{
    state.step = step;
    state.since_ms = now.event_ms;
    state.silent_since_ms = 0;
    return state;
}

static struct ramp_state finished(struct ramp_state state, enum ramp_phase phase,
                                  struct ramp_now now)
{
    state.phase = phase;
    state.frozen = false;
    state.since_ms = now.event_ms;
    state.silent_since_ms = 0;
    return state;
}

struct ramp_state ramp_step(struct ramp_state state, const struct experiment *experiment,
                            enum verdict_kind verdict, bool no_data, struct ramp_now now)
{
    if (state.phase == RAMP_DRAFT || ramp_final(&state) || state.frozen)
        return state;
    if (verdict == VERDICT_ROLLBACK)
        return finished(state, RAMP_ROLLED_BACK, now);
    if (!no_data)
        state.silent_since_ms = 0;
    else if (state.silent_since_ms == 0)
        state.silent_since_ms = now.wall_ms;
    if (state.phase == RAMP_PAUSED)
        return state; /* automation may only lower the share here */
    if (verdict == VERDICT_ADVANCE && state.step + 1 < experiment->n_steps)
        return entered(state, state.step + 1, now);
    if (verdict == VERDICT_PROMOTE)
        return finished(state, RAMP_PROMOTED, now);
    return state;
}

static int conflict(struct err *err, const struct experiment *experiment, const char *command,
                    const struct ramp_state *state, const char *allowed)
{
    err_set(err, -EINVAL, "experiment %s is %s%s: %s needs %s", experiment->name,
            ramp_phase_name(state->phase), state->frozen ? " (frozen)" : "", command, allowed);
    return RAMP_CONFLICT;
}

static int jump(struct ramp_state *state, const struct experiment *experiment, int step,
                struct ramp_now now, struct err *err)
{
    if (step < 0 || step >= experiment->n_steps) {
        err_set(err, -EINVAL, "experiment %s has no step %d: its steps are 0..%d", experiment->name,
                step, experiment->n_steps - 1);
        return RAMP_CONFLICT;
    }
    if (step > state->approved)
        state->approved = step; /* whoever jumps there approves of it */
    *state = entered(*state, step, now);
    return 0;
}

static int approve(struct ramp_state *state, const struct experiment *experiment, int step,
                   struct err *err)
{
    int from = step >= 0 ? step : state->step + 1, to = step >= 0 ? step + 1 : experiment->n_steps;
    for (int s = from; s < to && s < experiment->n_steps; s++) {
        if (!experiment->steps[s].approval || s <= state->approved)
            continue;
        state->approved = s;
        return 0;
    }
    err_set(err, -EINVAL, "experiment %s: no step waits for an approval", experiment->name);
    return RAMP_CONFLICT;
}

int ramp_command(struct ramp_state *state, const struct experiment *experiment,
                 enum ramp_command command, int step, struct ramp_now now, struct err *err)
{
    bool active = state->phase == RAMP_RUNNING || state->phase == RAMP_PAUSED;
    const char *word = ramp_command_name(command);
    if (command == COMMAND_START) {
        if (state->phase != RAMP_DRAFT)
            return conflict(err, experiment, word, state, "a draft");
        *state = entered(*state, 0, now);
        state->phase = RAMP_RUNNING;
        state->started_ms = now.event_ms;
        state->approved = experiment->steps[0].approval ? 0 : state->approved;
        return 0;
    }
    if (command == COMMAND_ROLLBACK && state->phase == RAMP_DRAFT) {
        *state = finished(*state, RAMP_ROLLED_BACK, now);
        return 0;
    }
    if (!active)
        return conflict(err, experiment, word, state, "one that is running or paused");
    switch (command) {
    case COMMAND_PAUSE:
        if (state->phase == RAMP_PAUSED && !state->frozen)
            return conflict(err, experiment, word, state, "one that is running or frozen");
        state->phase = RAMP_PAUSED;
        state->frozen = false;
        return 0;
    case COMMAND_FREEZE:
        state->phase = RAMP_PAUSED;
        state->frozen = true;
        return 0;
    case COMMAND_RESUME:
        if (state->phase != RAMP_PAUSED)
            return conflict(err, experiment, word, state, "one that is paused");
        state->phase = RAMP_RUNNING;
        state->frozen = false;
        return 0;
    case COMMAND_JUMP:
        return jump(state, experiment, step, now, err);
    case COMMAND_APPROVE:
        return approve(state, experiment, step, err);
    case COMMAND_PROMOTE:
        *state = finished(*state, RAMP_PROMOTED, now);
        return 0;
    case COMMAND_ROLLBACK:
        *state = finished(*state, RAMP_ROLLED_BACK, now);
        return 0;
    case COMMAND_START:
    case N_COMMANDS:
        break;
    }
    return conflict(err, experiment, "this command", state, "another state");
}

double ramp_weight(const struct ramp_state *state, const struct experiment *experiment)
{
    switch (state->phase) {
    case RAMP_RUNNING:
    case RAMP_PAUSED:
        return experiment_weight(experiment, state->step);
    case RAMP_PROMOTED:
        return 100;
    case RAMP_DRAFT:
    case RAMP_ROLLED_BACK:
    case N_RAMP_PHASES:
        break;
    }
    return 0;
}
