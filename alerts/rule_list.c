/* The rules in force, as the API lists them: also those that have never fired. */
#include <errno.h>
#include <math.h>

#include "alerts/keeper.h"
#include "common/json_out.h"

static bool has_level(const struct alert_rule *rule)
{
    switch (rule->kind) {
    case RULE_LEVEL:
    case RULE_LAG:
    case RULE_QUALITY:
        return true;
    case RULE_DRIFT:
        return rule->drift_share;
    case RULE_TREND:
    case RULE_ABSENT:
    case RULE_EXPERIMENT:
    case RULE_AUDIT:
    case RULE_CERTIFICATE:
    case RULE_CHANGE:
        return false;
    }
    return false;
}

/* In the words of the configuration: `above` or `below`, and where it is well again. */
static void write_level(struct buf *out, const struct alert_rule *rule)
{
    bool level = has_level(rule);
    out_key_double(out, "above", level && rule->above ? rule->level : (double)NAN);
    out_key_double(out, "below", level && !rule->above ? rule->level : (double)NAN);
    out_key_double(out, "clear", level ? rule->clear : (double)NAN);
    out_key_bool(out, "relative", rule->relative_to != RELATIVE_NONE);
}

static void write_rule(struct buf *out, const struct alert_rule *rule)
{
    static const char *const kinds[] = {"level",   "trend",      "absent", "drift",       "lag",
                                        "quality", "experiment", "audit",  "certificate", "change"};
    char id[NOTICE_ID_BYTES];
    notice_id(id, rule);
    out_key_string(out, "id", id);
    out_key_string(out, "name", rule->name);
    out_key_string(out, "kind", kinds[rule->kind]);
    out_key_string(out, "severity", severity_name(rule->severity));
    out_key_string(out, "model", rule->model);
    out_key_string(out, "version", rule->version);
    out_key_string(out, "segment", rule->slice && *rule->slice ? rule->slice : NULL);
    out_key_string(out, "metric", rule->metric);
    out_key_string(out, "feature", rule->feature);
    write_level(out, rule);
    out_key_int(out, "window", rule->window_ms);
    out_key_int(out, "for", rule->timing.for_ms);
}

int alerts_list_rules(const struct alerts *alerts, struct buf *out, struct err *err)
{
    out_open(out, '{');
    out_key(out, "items");
    out_open(out, '[');
    for (size_t i = 0; i < alerts->n; i++) {
        const struct alert *alert = &alerts->alerts[i];
        out_open(out, '{');
        write_rule(out, alert->rule);
        out_key_string(out, "state", alert_phase_name(alert->state.phase));
        out_close(out, '}');
    }
    out_close(out, ']');
    out_key(out, "next");
    out_null(out);
    out_close(out, '}');
    return buf_failed(out) ? err_set(err, -ENOMEM, "alerts: no memory") : 0;
}
