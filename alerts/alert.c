/*
 *               BAD for `for`                  CLEAR for `keep_firing_for`
 *   inactive ──► pending ──► firing ─────────────────────────────► inactive (resolved)
 *       ▲          │ CLEAR (withdrawn)      NO_DATA + policy alert
 *       └──────────┘            any ───────────────────────────► no data ──► inactive
 *
 * A gap between level and clear level (BETWEEN) keeps what is: it neither starts nor ends anything,
 * but a pending alert goes on pending only while the condition is BAD, as in Prometheus.
 */
#include "alerts/alert.h"

const char *alert_phase_name(enum alert_phase phase)
{
    static const char *const names[] = {"inactive", "pending", "firing", "no_data"};
    return names[phase];
}

struct alert_state alert_start(int64_t now_ms)
{
    return (struct alert_state){.phase = ALERT_INACTIVE,
                                .since_ms = now_ms,
                                .bad_since_ms = -1,
                                .clear_since_ms = -1,
                                .last_change_ms = now_ms};
}

static void enter(struct alert_state *state, enum alert_phase phase, int64_t now_ms)
{
    bool was_firing = state->phase == ALERT_FIRING;
    state->phase = phase;
    state->since_ms = now_ms;
    state->clear_since_ms = -1;
    if (was_firing == (phase == ALERT_FIRING))
        return;

    /* A leaky count: each quiet flap window takes it back to nothing. */
    if (now_ms - state->last_change_ms > ALERT_FLAP_WINDOW_MS)
        state->flap_score = 0;
    state->flap_score++;
    state->flapping = state->flap_score > ALERT_FLAP_CHANGES;
    state->last_change_ms = now_ms;
}

static enum alert_event step_bad(struct alert_state *state, const struct alert_timing *timing,
                                 int64_t now_ms)
{
    state->clear_since_ms = -1;
    if (state->phase == ALERT_FIRING)
        return ALERT_NOTHING;
    if (state->phase != ALERT_PENDING) {
        state->bad_since_ms = now_ms;
        enter(state, ALERT_PENDING, now_ms);
        if (timing->for_ms > 0)
            return ALERT_BECAME_PENDING;
    }
    if (now_ms - state->bad_since_ms < timing->for_ms)
        return ALERT_NOTHING;
    enter(state, ALERT_FIRING, now_ms);
    return ALERT_FIRED;
}

static enum alert_event step_clear(struct alert_state *state, const struct alert_timing *timing,
                                   int64_t now_ms)
{
    switch (state->phase) {
    case ALERT_INACTIVE:
        return ALERT_NOTHING;
    case ALERT_PENDING:
        enter(state, ALERT_INACTIVE, now_ms);
        return ALERT_WITHDRAWN;
    case ALERT_NO_DATA:
        enter(state, ALERT_INACTIVE, now_ms);
        return ALERT_CAME_BACK;
    case ALERT_FIRING:
        if (state->clear_since_ms < 0)
            state->clear_since_ms = now_ms;
        if (now_ms - state->clear_since_ms < timing->keep_firing_for_ms)
            return ALERT_NOTHING;
        enter(state, ALERT_INACTIVE, now_ms);
        return ALERT_RESOLVED;
    }
    return ALERT_NOTHING;
}

static enum alert_event step_between(struct alert_state *state, int64_t now_ms)
{
    state->clear_since_ms = -1; /* "clear for keep_firing_for" must be without a break */
    if (state->phase == ALERT_PENDING) {
        enter(state, ALERT_INACTIVE, now_ms);
        return ALERT_WITHDRAWN;
    }
    if (state->phase == ALERT_NO_DATA) {
        enter(state, ALERT_INACTIVE, now_ms);
        return ALERT_CAME_BACK;
    }
    return ALERT_NOTHING;
}

static enum alert_event step_no_data(struct alert_state *state, const struct alert_timing *timing,
                                     int64_t now_ms)
{
    switch (timing->no_data) {
    case NO_DATA_KEEP:
        return ALERT_NOTHING;
    case NO_DATA_IGNORE:
        return step_clear(state, timing, now_ms);
    case NO_DATA_ALERT:
        /* What fires goes on firing: silence is no proof of health. */
        if (state->phase == ALERT_FIRING || state->phase == ALERT_NO_DATA)
            return ALERT_NOTHING;
        state->bad_since_ms = now_ms;
        enter(state, ALERT_NO_DATA, now_ms);
        return ALERT_WENT_SILENT;
    }
    return ALERT_NOTHING;
}

enum alert_event alert_step(struct alert_state *state, const struct alert_timing *timing,
                            enum alert_sight sight, int64_t now_ms)
{
    state->no_data = sight == SIGHT_NO_DATA;
    switch (sight) {
    case SIGHT_BAD:
        return step_bad(state, timing, now_ms);
    case SIGHT_CLEAR:
        return step_clear(state, timing, now_ms);
    case SIGHT_BETWEEN:
        return step_between(state, now_ms);
    case SIGHT_NO_DATA:
        return step_no_data(state, timing, now_ms);
    }
    return ALERT_NOTHING;
}
