#include "alerts/announce.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "alerts/keeper.h"
#include "alerts/notice.h"
#include "alerts/page_url.h"
#include "common/json_print.h"
#include "storage/audit.h"
#include "storage/outbox.h"

struct telling {
    struct alerts *alerts;
    const struct announcement *news;
    const char *severity;
    struct err *err;
};

static const char *severity_of(const char *type)
{
    if (strcmp(type, "experiment.rolled_back") == 0)
        return "critical";
    return strcmp(type, "experiment.held") == 0 ? "warning" : "info";
}

static const char *action_of(const char *type)
{
    static const char *const actions[][2] = {
        {"experiment.rolled_back", "rolled back: everyone is served the control again"},
        {"experiment.promoted", "promoted: everyone is served the treatment"},
        {"experiment.held", "held: the share of the treatment stays as it is; not rolled back"},
        {"experiment.step", "raised the treatment's share by a step; not rolled back"},
    };
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(actions[i][0], type) == 0)
            return actions[i][1];
    }
    return "";
}

json_t *announce_audit_head(struct store *store)
{
    int64_t seq;
    char hash[2 * AUDIT_HASH_BYTES + 1];
    struct err ignored;
    return audit_head_text(store, &seq, hash, &ignored)
               ? json_null()
               : json_pack("{s:I,s:s}", "seq", (json_int_t)seq, "hash", hash);
}

/* The same shape as an alert's message, so that every kind of receiver can show it. */
static char *print(const struct telling *telling, const char *group_key)
{
    const struct announcement *news = telling->news;
    char id[NOTICE_ID_BYTES];
    notice_group_id(id, group_key);
    struct buf page;
    buf_init(&page, 16 * 1024);
    page_url_release(&page, telling->alerts->url, news->name);
    json_t *url = json_stringn(page.size ? (const char *)page.data : "", page.size);
    buf_finish(&page);
    json_t *labels = json_pack("{s:s,s:s}", "experiment", news->name, "model", news->model);
    json_t *alert =
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:O,s:I,s:o,s:{}}", "key", id, "name",
                  news->name, "status", "firing", "severity", telling->severity, "model",
                  news->model, "version", news->version, "summary", news->summary, "cause",
                  news->summary, "action", action_of(news->type), "url", url, "since",
                  (json_int_t)news->at_ms, "labels", labels, "annotations");
    json_t *data =
        json_pack("{s:s,s:I,s:s,s:s,s:o,s:o,s:i,s:i,s:i,s:[o],s:s,s:o,s:o}", "type", news->type,
                  "at", (json_int_t)news->at_ms, "group", group_key, "group_id", id, "url", url,
                  "summary", json_sprintf("%s: %s (%s)", news->type, news->name, news->summary),
                  "firing", 1, "resolved", 0, "more", 0, "alerts", alert, "experiment", news->name,
                  "verdict", json_loads(news->detail ? news->detail : "{}", 0, NULL), "audit",
                  announce_audit_head(telling->alerts->store));
    char *text = data ? json_print(data) : NULL;
    json_decref(data);
    return text;
}

static int tell(void *context, const struct route_target *target, const char *group_key)
{
    struct telling *telling = context;
    AUTO_FREE char *data = print(telling, group_key);
    if (!data)
        return err_set(telling->err, -ENOMEM, "experiment %s: no memory", telling->news->name);
    struct outbox_row row = {
        .receiver = target->receiver,
        .group_key = group_key,
        .type = telling->news->type,
        .data = data,
        .created_ms = telling->news->wall_ms,
        .next_ms = telling->news->wall_ms,
    };
    return commit_outbox(telling->alerts->store, &row, telling->err);
}

int alerts_announce(struct alerts *alerts, const struct announcement *news, struct err *err)
{
    struct telling telling = {alerts, news, severity_of(news->type), err};
    const struct part_pair pairs[] = {
        {"alertname", news->name},      {"experiment", news->name}, {"model", news->model},
        {"severity", telling.severity}, {"version", news->version},
    };
    struct label_set labels = {pairs, sizeof(pairs) / sizeof(pairs[0])};
    return alerts->route ? route_match(alerts->route, &labels, tell, &telling) : 0;
}
