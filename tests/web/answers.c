#include "tests/web/answers.h"

#include <stdio.h>
#include <string.h>

#include "tests/test.h"

struct site *site_filled(void)
{
    struct site *site = site_new();
    const struct minute minutes[] = {
        {"credit", "v3", "", SITE_START, 8, 2, 9, 1, 4, 1},
        {"credit", "v3", "country=de", SITE_START, 4, 0, 5, 0, 0, 0},
        {"credit", "v3", "country=fr", SITE_START, 4, 2, 4, 1, 4, 1},
        {"credit", "v3", "", SITE_START + MINUTE, 10, 0, 10, 0, 0, 0},
        {"credit", "v4", "", SITE_START + MINUTE, 5, 5, 5, 5, 0, 0},
        {"churn <b>", "1", "", SITE_START + MINUTE, 1, 1, 1, 1, 0, 0},
    };
    for (size_t i = 0; i < sizeof(minutes) / sizeof(minutes[0]); i++)
        site_minute(site, &minutes[i]);
    struct err err = {0};
    must(commit_begin(site->store, &err), &err);
    must(commit_model_counts(site->store, "credit",
                             "{\"predictions\":65,\"labels\":60,\"joined\":60,\"pending\":4,"
                             "\"unknown_fields\":2,\"last_event\":1700006520000}",
                             &err),
         &err);
    must(commit_version(site->store, "credit", "v4", "{\"framework\":\"keras\"}", &err), &err);
    must(commit_end(site->store, &err), &err);
    site->now_ms = SITE_START + 5 * MINUTE;
    return site;
}

int call(const struct site *site, const char *method, const char *target, const char *body,
         struct api_answer *answer, struct err *err)
{
    struct api_context *context = NULL;
    struct api_options options = {.store_path = site->temp->path,
                                  .commands = &site->commands,
                                  .clock = &site->clock,
                                  .memo = site->memo};
    must(api_open(&context, &options, err), err);
    struct api_request request = {.method = method,
                                  .target = target,
                                  .body = body ? body : "",
                                  .body_size = body ? strlen(body) : 0};
    api_answer_init(answer);
    int rc = api_call(context, &request, answer, err);
    api_close(context);
    return rc;
}

json_t *get(const struct site *site, const char *target)
{
    struct api_answer answer;
    struct err err = {0};
    json_error_t where;
    must(call(site, "GET", target, NULL, &answer, &err), &err);
    assert_int_equal(answer.status, 200);
    json_t *json =
        json_loadb((char *)answer.body.data, answer.body.size, JSON_REJECT_DUPLICATES, &where);
    if (!json)
        fail_msg("%s: %s: %.*s", target, where.text, (int)answer.body.size, answer.body.data);
    api_answer_finish(&answer);
    return json;
}

json_t *at(json_t *json, const char *path)
{
    char copy[200];
    snprintf(copy, sizeof(copy), "%s", path);
    for (char *save, *part = strtok_r(copy, ".", &save); part; part = strtok_r(NULL, ".", &save)) {
        json = part[0] >= '0' && part[0] <= '9'
                   ? json_array_get(json, (size_t)strtol(part, NULL, 10))
                   : json_object_get(json, part);
        if (!json)
            fail_msg("no %s in the answer", path);
    }
    return json;
}

double number(json_t *json, const char *path)
{
    return json_number_value(at(json, path));
}

const char *text(json_t *json, const char *path)
{
    return json_string_value(at(json, path));
}
