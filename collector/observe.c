/*
 * Tells the observer (a running experiment) of predictions, labels and outcomes.
 */
#include "collector/ingest.h"

int observe_prediction(struct collector *collector, const struct version *version,
                       const struct event *event, const struct sample *sample, struct err *err)
{
    const struct observer *observer = collector->options.observer;
    struct view unit = event->unit.data ? event->unit : event->id;
    struct observed observed = {
        .kind = OBSERVED_PREDICTION,
        .model = version->model->name,
        .version = version->name,
        .ts_ms = event->ts_ms,
        .unit = unit,
        .unit_hash = unit_of_text(unit),
        .sign = 1,
        .setup = &version->model->setup,
        .sample = sample,
        .event = event,
    };
    return observer->observe(observer->context, &observed, err);
}

/* What is the same in labels and outcomes. The id of the event at hand is the prediction's. */
static struct observed observed_of(const struct collector *collector, const struct record *record,
                                   enum observed_kind kind, int sign)
{
    const struct version *version = version_of(collector, record);
    uint64_t unit = record_unit(record);
    return (struct observed){
        .kind = kind,
        .model = version->model->name,
        .version = version->name,
        .ts_ms = record->ts_ms,
        .unit = unit ? (struct view){NULL, 0} : collector->id,
        .unit_hash = unit ? unit & ~UINT64_C(1) : unit_of_text(collector->id),
        .outside = unit & 1,
        .sign = sign,
        .setup = &version->model->setup,
    };
}

int observe_label(struct collector *collector, const struct record *record,
                  const struct sample *sample, int sign, struct err *err)
{
    if (!is_observed(collector))
        return 0;
    struct observed observed = observed_of(collector, record, OBSERVED_LABEL, sign);
    observed.sample = sample;
    const struct observer *observer = collector->options.observer;
    return observer->observe(observer->context, &observed, err);
}

int observe_outcome(struct collector *collector, const struct record *record, struct view name,
                    double value, int sign, struct err *err)
{
    if (!is_observed(collector))
        return 0;
    struct observed observed = observed_of(collector, record, OBSERVED_OUTCOME, sign);
    observed.name = name;
    observed.value = value;
    const struct observer *observer = collector->options.observer;
    return observer->observe(observer->context, &observed, err);
}

int observe_system(struct collector *collector, const struct version *version,
                   const struct event *event, struct err *err)
{
    struct observed observed = {
        .kind = OBSERVED_SYSTEM,
        .model = version->model->name,
        .version = version->name,
        .ts_ms = event->ts_ms,
        .sign = 1,
        .setup = &version->model->setup,
        .event = event,
    };
    const struct observer *observer = collector->options.observer;
    return observer->observe(observer->context, &observed, err);
}
