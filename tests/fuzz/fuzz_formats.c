/*
 * Any bytes as a message of each foreign format. The first byte chooses the format, the second
 * which headers come along; what is taken gives as many sound events as it says.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "collector/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const char yaml[] =
    "kafka:\n"
    "  brokers: b\n"
    "  topics:\n"
    "    - {name: a, format: assay}\n"
    "    - {name: b, format: cloudevents, model: m}\n"
    "    - {name: c, format: json, mapping: {id: /id, ts_seconds: /t, features.x: /f/0,\n"
    "       prediction: /p, score: /s, segment.c: /c~1d}}\n"
    "    - {name: d, format: kserve, model: m}\n"
    "    - {name: e, format: tfserving, model: m, mapping: {segment.c: /c}}\n"
    "models: [{name: m, task: binary}, {name: n, task: multiclass}, {name: r, task: ranking}]\n";

enum {
    N_FORMATS = 5
};

static const struct header headers[] = {
    {"content-type", {"application/json", 16}},
    {"ce_specversion", {"1.0", 3}},
    {"ce_id", {"id", 2}},
    {"ce_source", {"/s", 2}},
    {"ce_type", {"org.kubeflow.serving.inference.response", 39}},
    {"ce_time", {"2023-11-14T22:13:20Z", 20}},
    {"ce_inferenceservicename", {"n", 1}},
};

/* Made once: the process ends with them. */
static void start(struct format *formats[N_FORMATS])
{
    struct config *config = NULL;
    struct err err;
    if (config_parse(&config, "fuzz", yaml, strlen(yaml), &err))
        abort();
    for (int i = 0; i < N_FORMATS; i++)
        if (format_new(&formats[i], &config->kafka.topics[i], config, &err))
            abort();
}

static void is_sound(const struct event *event)
{
    assert(event->n_features <= EVENT_MAX_KEYS && event->n_scores <= EVENT_MAX_KEYS);
    assert(!event->id.data || event->id.size <= EVENT_MAX_ID_BYTES);
    if (event->type == EVENT_PREDICTION)
        assert(event->id.size && event->model.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static struct format *formats[N_FORMATS];
    if (!formats[0])
        start(formats);
    if (n < 2)
        return 0;
    const struct format_message message = {(const char *)bytes + 2, n - 2, headers, bytes[1] % 8};
    struct event event;
    size_t n_events = 0;
    const char *detail = NULL;
    struct format *format = formats[bytes[0] % N_FORMATS];
    enum reject reason = format_decode(format, &message, &event, &n_events, &detail);
    assert(reason < N_REJECTS);
    if (reason) {
        assert(detail && detail[0]);
        return 0;
    }
    for (size_t i = 0; i < n_events; i++) {
        if (i)
            format_next(format, &event);
        is_sound(&event);
    }
    return 0;
}
