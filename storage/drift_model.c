#include "storage/drift_model.h"

struct drift_rule drift_rule_of(const struct config *config, const char *model)
{
    const struct config_model *known = config ? config_model_find(config, model) : NULL;
    struct drift_rule rule = {DRIFT_AUTO, 0.01, 0.05};
    if (!known)
        return rule;
    int method = drift_method_parse(known->drift.method ? known->drift.method : "auto");
    rule.method = method < 0 ? DRIFT_AUTO : (enum drift_method)method;
    rule.false_alarm_rate = known->drift.false_alarm_rate;
    rule.min_effect = known->drift.min_effect;
    return rule;
}

int drift_model_read(struct store *store, const struct config *config, const char *model,
                     const char *version, int64_t before_ms, struct profile_model *out,
                     struct err *err)
{
    int rc = profile_model_read(store, model, version, out, err);
    const struct config_model *known = config ? config_model_find(config, model) : NULL;
    if (rc || out->reference.reference || !known)
        return rc;
    const struct config_reference *from = &known->reference;
    struct profile_query span = {.model = model, .to_ms = before_ms};
    const char *source = NULL;
    if (from->to_ms > from->from_ms) {
        span.from_ms = from->from_ms;
        span.to_ms = from->to_ms;
        source = "range";
    } else if (from->version) {
        span.version = from->version;
        source = "version";
    } else if (from->trailing_ms) {
        span.from_ms = before_ms > from->trailing_ms ? before_ms - from->trailing_ms : 0;
        source = "trailing";
    }
    rc = source ? profile_model_from_panes(store, out, &span, source, err) : 0;
    if (rc)
        profile_model_finish(out);
    return rc;
}
