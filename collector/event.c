#include "collector/event.h"

#include <stddef.h>

static const char *const reject_names[N_REJECTS] = {
    [REJECT_NONE] = "none",
    [REJECT_NOT_JSON] = "not_json",
    [REJECT_WRONG_TYPE] = "wrong_type",
    [REJECT_UNKNOWN_TYPE] = "unknown_type",
    [REJECT_NOT_FINITE] = "not_finite",
    [REJECT_MISSING_ID] = "missing_id",
    [REJECT_MISSING_MODEL] = "missing_model",
    [REJECT_TOO_LARGE] = "too_large",
    [REJECT_TOO_MANY_KEYS] = "too_many_keys",
    [REJECT_DUPLICATE_KEY] = "duplicate_key",
    [REJECT_OUT_OF_RANGE] = "out_of_range",
    [REJECT_FUTURE] = "future",
    [REJECT_UNKNOWN_MODEL] = "unknown_model",
    [REJECT_TOO_MANY_MODELS] = "too_many_models",
    [REJECT_WRONG_TASK] = "wrong_task",
    [REJECT_EMPTY] = "empty",
    [REJECT_BAD_FORMAT] = "bad_format",
};

const char *reject_name(enum reject reason)
{
    return (unsigned)reason < N_REJECTS ? reject_names[reason] : NULL;
}

static const char *const event_type_names[] = {
    [EVENT_PREDICTION] = "prediction",
    [EVENT_LABEL] = "label",
    [EVENT_OUTCOME] = "outcome",
    [EVENT_SYSTEM] = "system",
};

const char *event_type_name(enum event_type type)
{
    return (unsigned)type <= EVENT_SYSTEM ? event_type_names[type] : NULL;
}
