/*
 * KServe's inference logger, and Seldon's, which sends the same: CloudEvents around the body of a
 * request or of its answer. An answer gives predictions. A request alone holds nothing to count;
 * where a pipeline has put both bodies into one event (`instances` with `predictions`, `inputs`
 * with `outputs`), its rows are the features.
 *
 * id: the CloudEvent's, which request and answer share · ts: its time · model: V2 model_name, else
 * the extension inferenceservicename, else the topic's · version: V2 model_version, else the
 * extension endpoint, else the topic's.
 */
#include <string.h>

#include "collector/format_parts.h"

static bool ends_with(struct view text, const char *end)
{
    size_t n = strlen(end);
    return text.size >= n && memcmp(text.data + text.size - n, end, n) == 0;
}

static void set_text(json_t *event, const char *field, struct view text)
{
    if (text.size)
        event_default(event, field, json_stringn(text.data, text.size));
}

static enum reject answer_rows(struct format *format, const struct cloud_event *cloud)
{
    json_t *common = json_object(), *id = json_stringn(cloud->id.data, cloud->id.size);
    enum reject reason;
    if (common && id) {
        event_map(format, cloud->data, common);
        event_default(common, "model", json_incref(json_object_get(cloud->data, "model_name")));
        event_default(common, "version",
                      json_incref(json_object_get(cloud->data, "model_version")));
        set_text(common, "ts", cloud->time);
        set_text(common, "model", cloud->model);
        set_text(common, "version", cloud->version);
        set_text(common, "version", cloud->endpoint);
        event_topic_defaults(format, common);
        const struct batch_facts facts = {json_string_value(id), cloud->data, common};
        reason = inference_rows(format, cloud->data, cloud->data, &facts);
    } else {
        reason = format_refuse(format, REJECT_BAD_FORMAT, "kserve: an id that is not UTF-8");
    }
    json_decref(common);
    json_decref(id);
    return reason;
}

enum reject format_kserve_decode(struct format *format, const struct format_message *message)
{
    struct cloud_event cloud;
    enum reject reason = cloud_event_read(format, message, &cloud);
    if (reason == REJECT_NONE) {
        bool answered =
            json_object_get(cloud.data, "predictions") || json_object_get(cloud.data, "outputs");
        if (ends_with(cloud.type, "inference.response") || answered)
            reason = answer_rows(format, &cloud);
        else if (!ends_with(cloud.type, "inference.request"))
            reason = format_refuse(format, REJECT_BAD_FORMAT,
                                   "kserve: neither an inference request nor a response");
    }
    cloud_event_finish(&cloud);
    return reason;
}
