/* `assay alert test`: one message by hand, past the outbox. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "alerts/deliver.h"
#include "alerts/request.h"
#include "common/json_print.h"
#include "common/text.h"

/* In the shape of an alert's message, so that each kind of receiver shows what it would show. */
static char *test_data(const char *name, const char *url, int64_t now_ms)
{
    json_t *summary = json_sprintf("[TEST] %s: a test message from Assay; nothing is wrong", name);
    json_t *data = json_pack(
        "{s:s,s:I,s:s,s:s,s:s,s:O,s:i,s:i,s:i,s:[{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:{s:s},s:{},s:O,"
        "s:s,s:s,s:s,s:s}]}",
        "type", "alert.test", "at", (json_int_t)now_ms, "group", "test", "group_id", "test", "url",
        url, "summary", summary, "firing", 1, "resolved", 0, "more", 0, "alerts", "key", "test",
        "name", "assay-test", "status", "firing", "severity", "info", "model", "", "version", "",
        "metric", "", "since", (json_int_t)now_ms, "labels", "alertname", "assay-test",
        "annotations", "summary", summary, "confidence", "", "cause", "", "action", "", "url", url);
    json_decref(summary);
    char *text = data ? json_print(data) : NULL;
    json_decref(data);
    return text;
}

static void write_outcome(struct buf *out, const struct receiver *receiver,
                          const struct request *request, int status, int64_t took_ms)
{
    buf_printf(out, "{\"receiver\":");
    json_text(out, receiver->name, strlen(receiver->name));
    buf_printf(out, ",\"type\":\"%s\",\"status\":", receiver_type_name(receiver->type));
    buf_printf(out, status ? "%d" : "null", status);
    buf_printf(out, ",\"ms\":%" PRId64 ",\"answer\":", took_ms);
    json_text(out, request->http.answer.data ? (const char *)request->http.answer.data : "",
              request->http.answer.size);
    buf_printf(out, ",\"problem\":");
    if (request->http.problem[0])
        json_text(out, request->http.problem, strlen(request->http.problem));
    else
        buf_printf(out, "null");
    buf_printf(out, "}");
}

int deliver_test(const struct receiver_set *receivers, const char *name, const char *url,
                 const struct clock *clock, struct buf *answer, struct err *err)
{
    const struct receiver *receiver = receiver_set_find(receivers, name);
    if (!receiver) {
        const char *near =
            text_near(name, receiver_set_names(receivers), receiver_set_count(receivers));
        return near ? err_set(err, ERR_NOT_FOUND,
                              "no receiver is named \"%.100s\"; did you mean %.100s?", name, near)
                    : err_set(err, ERR_NOT_FOUND, "no receiver is named \"%.100s\"", name);
    }
    int64_t now_ms = clock_wall_ms(clock);
    char id[48];
    snprintf(id, sizeof(id), "msg_test_%" PRId64, now_ms); /* a new one each time */
    AUTO_FREE char *data = test_data(receiver->name, url, now_ms);
    AUTO(request) struct request *request = NULL;
    if (!data)
        return err_set(err, -ENOMEM, "receiver %s: no memory", receiver->name);
    int rc = request_new(&request, receiver, id, data, now_ms, err);
    if (rc)
        return rc;
    int64_t begun_ms = clock_boot_ms(clock);
    int status = http_out_status(&request->http, curl_easy_perform(request->http.curl));
    write_outcome(answer, receiver, request, status, clock_boot_ms(clock) - begun_ms);
    return buf_failed(answer) ? err_set(err, -ENOMEM, "receiver %s: no memory", name) : 0;
}
