#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/temp_store.h"
#include "tests/test.h"
#include "web/gateway/event.h"

/* The settings of one gateway whose `event` is this YAML. */
static struct gateway_list settings_of(const char *event)
{
    char yaml[2000];
    struct gateway_list list;
    struct config *config = NULL;
    struct err err = {0};
    snprintf(yaml, sizeof(yaml),
             "models: [{name: credit, task: binary}]\n"
             "gateway: [{listen: \"127.0.0.1:0\", model: credit, upstreams: {v3: \"http://a\"}, "
             "event: %s}]\n",
             event);
    must(config_parse(&config, "test.yaml", yaml, strlen(yaml), &err), &err);
    must(gateway_settings_read(&list, config, &err), &err);
    config_free(config);
    return list;
}

/* The event's text, malloc'd. */
static char *event_of(const char *event, const char *request, const char *answer,
                      struct event_facts facts)
{
    struct gateway_list list = settings_of(event);
    struct buf out;
    buf_init(&out, 1 << 20);
    facts.settings = list.items[0];
    facts.id = "id-1";
    facts.ts_ms = 1700000000000;
    facts.version = "v3";
    facts.row = list.items[0]->rows ? facts.row : -1;
    facts.request = json_loads(request, JSON_DECODE_ANY, NULL);
    facts.answer = json_loads(answer, JSON_DECODE_ANY, NULL);
    event_write(&out, &facts);
    buf_u8(&out, 0);
    assert_false(buf_failed(&out));
    json_decref(facts.request);
    json_decref(facts.answer);
    gateway_list_finish(&list);
    return (char *)out.data;
}

static void check(const char *event, const char *request, const char *answer,
                  struct event_facts facts, const char *expected)
{
    char *text = event_of(event, request, answer, facts);
    assert_string_equal(text, expected);
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    json_decref(json);
    free(text);
}

#define HEAD                                                                              \
    "{\"type\":\"prediction\",\"id\":\"id-1\",\"ts\":1700000000000,\"model\":\"credit\"," \
    "\"version\":\"v3\""

static void an_event_holds_what_the_pointers_find(void **state)
{
    (void)state;
    check("{features: /instances/0, segment: {country: /country}, score: /predictions/0/0, "
          "prediction: /class}",
          "{\"instances\":[{\"income\":1.5,\"city\":\"a\\\"b\",\"vip\":false,\"ref\":null}],"
          "\"country\":\"de\"}",
          "{\"predictions\":[[0.25]],\"class\":\"yes\"}",
          (struct event_facts){.unit = "u", .latency_us = 12345},
          HEAD ",\"unit\":\"u\",\"features\":{\"income\":1.5,\"city\":\"a\\\"b\",\"vip\":false,"
               "\"ref\":null},\"segment\":{\"country\":\"de\"},\"prediction\":\"yes\","
               "\"score\":0.25,\"latency_ms\":12.345}");
}

static void named_features_come_from_a_row_of_numbers(void **state)
{
    (void)state;
    check("{features: {income: /inputs/0/data/0, emb: /emb}, scores: /scores}",
          "{\"inputs\":[{\"data\":[7,8]}],\"emb\":[1,2.5]}", "{\"scores\":{\"a\":0.5,\"b\":2}}",
          (struct event_facts){.latency_us = 5},
          HEAD ",\"features\":{\"income\":7,\"emb\":[1,2.5]},\"scores\":{\"a\":0.5},"
               "\"latency_ms\":0.005}");
}

static void what_no_event_may_hold_is_left_out(void **state)
{
    (void)state;
    check("{features: \"\", segment: {s: /deep}, score: /score, prediction: /prediction}",
          "{\"deep\":{\"a\":1},\"mixed\":[1,\"x\"],\"\":1,\"good\":2}",
          "{\"score\":1.5,\"prediction\":[1]}", (struct event_facts){.latency_us = -1},
          HEAD ",\"features\":{\"good\":2}}");
    check("{features: /instances/0, score: /score}", "[1,2]", "\"text\"",
          (struct event_facts){.latency_us = -1}, HEAD "}");
    check("{features: /instances/0, score: /score}", "", "", (struct event_facts){.latency_us = -1},
          HEAD "}");
}

static void a_failed_try_has_its_error_and_no_answer(void **state)
{
    (void)state;
    check("{features: /f, score: /score}", "{\"f\":{\"a\":1}}", "{\"score\":0.5}",
          (struct event_facts){.error = "HTTP 500", .latency_us = 1000},
          HEAD ",\"features\":{\"a\":1},\"error\":\"HTTP 500\"}");
}

static void a_row_of_a_batch_is_an_event_of_its_own(void **state)
{
    (void)state;
    const char *tfserving = "{rows: /instances, features: /instances/*, score: /predictions/*/0}";
    check(tfserving, "{\"instances\":[{\"income\":1},{\"income\":2}]}",
          "{\"predictions\":[[0.125],[0.75]]}",
          (struct event_facts){.unit = "u", .latency_us = -1, .row = 1},
          HEAD ",\"unit\":\"u\",\"features\":{\"income\":2},\"score\":0.75}");
}

/* KServe v2 has a column for each input: the row is a place in each. */
static void a_row_of_columns_is_a_place_in_each(void **state)
{
    (void)state;
    const char *kserve = "{rows: /inputs/0/data, features: {income: /inputs/0/data/*, age: "
                         "/inputs/1/data/*}, score: /outputs/0/data/*}";
    check(kserve, "{\"inputs\":[{\"data\":[1,2,3]},{\"data\":[40,50,60]}]}",
          "{\"outputs\":[{\"data\":[0.125,0.25,0.75]}]}",
          (struct event_facts){.unit = "u", .latency_us = -1, .row = 2},
          HEAD ",\"unit\":\"u\",\"features\":{\"income\":3,\"age\":60},\"score\":0.75}");
}

static void a_request_without_a_list_of_rows_is_one_prediction(void **state)
{
    (void)state;
    struct gateway_list list = settings_of("{rows: /instances}");
    const struct {
        const char *request;
        int rows;
    } cases[] = {{"{\"instances\":[1,2,3]}", 3},
                 {"{\"instances\":[]}", 0},
                 {"{\"instances\":{}}", 0},
                 {"[]", 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        json_t *request = json_loads(cases[i].request, 0, NULL);

        assert_int_equal(event_rows(list.items[0], request), cases[i].rows);

        json_decref(request);
    }
    assert_int_equal(event_rows(list.items[0], NULL), 0); /* not JSON */
    json_t *many = json_pack("{s:[]}", "instances");
    for (int i = 0; i <= EVENT_MAX_ROWS; i++)
        json_array_append_new(json_object_get(many, "instances"), json_integer(i));
    assert_int_equal(event_rows(list.items[0], many), 0);
    json_decref(many);
    gateway_list_finish(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_holds_what_the_pointers_find),
        cmocka_unit_test(named_features_come_from_a_row_of_numbers),
        cmocka_unit_test(what_no_event_may_hold_is_left_out),
        cmocka_unit_test(a_failed_try_has_its_error_and_no_answer),
        cmocka_unit_test(a_row_of_a_batch_is_an_event_of_its_own),
        cmocka_unit_test(a_row_of_columns_is_a_place_in_each),
        cmocka_unit_test(a_request_without_a_list_of_rows_is_one_prediction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
