/* A verdict as JSON (contract §4), and a situation as bytes for its audit row. */
#include <math.h>
#include <string.h>

#include "abtest/decide.h"

enum {
    FORMAT = 2
};

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* Counts are whole: no ".0" behind them. */
static json_t *count(double value)
{
    return isfinite(value) ? json_integer((json_int_t)value) : json_null();
}

/* A one-sided hole in an interval (no evidence on that side) is null as well. */
static json_t *arm(double n, double value)
{
    return json_pack("{s:o,s:o}", "n", count(n), "value", number(value));
}

static json_t *print_metric(const struct metric_verdict *m, const struct experiment_metric *metric)
{
    static const char *const roles[] = {"guardrail", "primary", "monitor"};
    json_t *json =
        json_pack("{s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:s}", "metric", metric->metric, "role",
                  roles[metric->role], "control", arm(m->control_n, m->control_value), "treatment",
                  arm(m->treatment_n, m->treatment_value), "difference", number(m->difference),
                  "lower", number(m->lower), "upper", number(m->upper), "p_value",
                  number(m->p_value), "status", metric_status_name(m->status));
    if (!json)
        return NULL;
    const struct {
        const char *key;
        double value;
    } margins[] = {
        {"margin", metric->margin},
        {"margin_relative", metric->margin_relative},
        {"harm_margin_relative", metric->harm_margin_relative},
        {"hard_limit", metric->hard_limit},
    };
    json_object_set_new(json, "harm_margin", number(metric->harm_margin));
    for (size_t i = 0; i < sizeof(margins) / sizeof(margins[0]); i++)
        if (!isnan(margins[i].value) && margins[i].value != 0)
            json_object_set_new(json, margins[i].key, number(margins[i].value));
    json_object_set_new(json, "log_e_harm", number(m->log_e_harm));
    json_object_set_new(json, "log_e_non_inferior", number(m->log_e_safe));
    if (!isnan(metric->hard_limit))
        json_object_set_new(json, "log_e_limit", number(m->log_e_limit));
    json_object_set_new(json, "samples_needed", count(m->samples_needed));
    json_object_set_new(json, "chance_to_win", number(m->chance_to_win));
    json_object_set_new(json, "expected_loss", number(m->expected_loss));
    if (m->fixed_test)
        json_object_set_new(json, "fixed_horizon",
                            json_pack("{s:s,s:o,s:o,s:o,s:o,s:o}", "test", m->fixed_test,
                                      "statistic", number(m->fixed_statistic), "dof",
                                      number(m->fixed_dof), "p_value", number(m->fixed_p_value),
                                      "lower", number(m->fixed_lower), "upper",
                                      number(m->fixed_upper)));
    if (m->why[0])
        json_object_set_new(json, "why", json_string(m->why));
    return json;
}

json_t *verdict_print(const struct verdict *verdict, const struct experiment *experiment,
                      const struct ramp_state *after, int64_t decided_at_ms)
{
    json_t *metrics = json_array();
    for (int i = 0; metrics && i < verdict->n_metrics; i++)
        json_array_append_new(metrics, print_metric(&verdict->metrics[i], &experiment->metrics[i]));
    json_t *json = json_pack(
        "{s:s,s:s,s:s,s:i,s:o,s:s,s:I,s:{s:I,s:I},s:o,s:{s:o,s:o,s:s},s:o,s:{s:I,s:I},s:I}",
        "experiment", experiment->name, "verdict", verdict_name(verdict->kind), "state",
        ramp_phase_name(after->phase), "step", after->step, "weight",
        number(ramp_weight(after, experiment)), "reason", verdict->reason, "decided_at",
        (json_int_t)decided_at_ms, "detected_after", "units", (json_int_t)verdict->detected_units,
        "ms", (json_int_t)verdict->detected_ms, "metrics", metrics, "srm", "p_value",
        number(verdict->srm.p_value), "chi2_p_value", number(verdict->srm.chi2_p_value), "status",
        verdict->srm.mismatch ? "mismatch" : "ok", "samples_needed", count(verdict->samples_needed),
        "units", "control", (json_int_t)verdict->units_control, "treatment",
        (json_int_t)verdict->units_treatment, "crossovers", (json_int_t)verdict->crossovers);
    if (json && verdict->wall_clock)
        json_object_set_new(json, "clock", json_string("wall"));
    return json;
}

void situation_save(const struct situation *s, struct buf *out)
{
    buf_u8(out, FORMAT);
    buf_u8(out, (uint8_t)s->ramp.phase);
    buf_u8(out, s->ramp.frozen);
    buf_zigzag(out, s->ramp.step);
    buf_zigzag(out, s->ramp.approved);
    buf_zigzag(out, s->ramp.started_ms);
    buf_zigzag(out, s->ramp.since_ms);
    buf_zigzag(out, s->ramp.silent_since_ms);
    buf_zigzag(out, s->now.event_ms);
    buf_zigzag(out, s->now.wall_ms);
    buf_zigzag(out, s->last_control_ms);
    buf_zigzag(out, s->last_treatment_ms);
    buf_u8(out, (uint8_t)(s->input_stale | s->data_lost << 1 | s->reconcile_failed << 2 |
                          s->behind << 4));
    buf_string(out, s->actuator, strlen(s->actuator));
}

int situation_load(struct situation *s, struct reader *in, struct err *err)
{
    uint8_t format = reader_u8(in);
    if (!reader_failed(in) && (format < 1 || format > FORMAT))
        return err_set(err, ERR_NEWER, "audit row: format %d is of a newer version", format);
    *s = (struct situation){0};
    uint8_t phase = reader_u8(in);
    s->ramp.frozen = reader_u8(in) != 0;
    s->ramp.step = (int)reader_zigzag(in);
    s->ramp.approved = (int)reader_zigzag(in);
    s->ramp.started_ms = reader_zigzag(in);
    s->ramp.since_ms = reader_zigzag(in);
    s->ramp.silent_since_ms = reader_zigzag(in);
    s->now.event_ms = reader_zigzag(in);
    s->now.wall_ms = reader_zigzag(in);
    s->last_control_ms = reader_zigzag(in);
    s->last_treatment_ms = reader_zigzag(in);
    uint8_t flags = reader_u8(in);
    if (reader_failed(in) || phase >= N_RAMP_PHASES || s->ramp.step < 0 ||
        s->ramp.step >= EXPERIMENT_MAX_STEPS)
        return err_set(err, ERR_CORRUPT, "audit row: the situation is damaged");
    size_t n = 0;
    const char *actuator = format > 1 ? reader_string(in, &n) : NULL;
    if (reader_failed(in) || n >= sizeof(s->actuator))
        return err_set(err, ERR_CORRUPT, "audit row: the situation is damaged");
    if (n)
        memcpy(s->actuator, actuator, n);
    s->ramp.phase = (enum ramp_phase)phase;
    s->input_stale = flags & 1;
    s->data_lost = flags & 2;
    s->reconcile_failed = flags & 4;
    s->behind = flags & 16;
    return 0;
}
