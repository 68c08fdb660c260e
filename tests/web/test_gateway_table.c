#include <stdio.h>
#include <string.h>

#include "stats/bucket.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"
#include "web/gateway/table.h"

static struct gateway_list settings_of(const char *more)
{
    char yaml[1000];
    struct gateway_list list;
    struct config *config = NULL;
    struct err err = {0};
    snprintf(yaml, sizeof(yaml),
             "models: [{name: credit, task: binary}]\ngateway: [{listen: \"127.0.0.1:0\", model: "
             "credit, upstreams: {v2: \"http://a\", v3: \"http://b/\", v4: \"http://c/x/\"}%s}]\n",
             more);
    must(config_parse(&config, "test.yaml", yaml, strlen(yaml), &err), &err);
    must(gateway_settings_read(&list, config, &err), &err);
    config_free(config);
    return list;
}

static struct route_table *table_of(const char *more, const char *object, double weight)
{
    struct gateway_list list = settings_of(more);
    struct route_table *table = NULL;
    struct err err = {0};
    struct stored_experiment experiment = {.weight = weight, .name = "e", .state = "running"};
    experiment.object = object ? json_loads(object, 0, NULL) : NULL;
    must(table_new(&table, list.items[0], object ? &experiment : NULL, &err), &err);
    gateway_list_finish(&list);
    return table;
}

#define EXPERIMENT "{\"control\":\"v3\",\"treatment\":\"v4\",\"salt\":\"credit-v4\"}"

static const char *serves(const struct route_table *table, const char *unit)
{
    return table->settings->upstreams[table_choose(table, unit, strlen(unit)).upstream].version;
}

static void addresses_lose_the_slash_at_their_end(void **state)
{
    (void)state;
    struct route_table *table = table_of("", NULL, 0);
    assert_string_equal(table->settings->upstreams[1].base, "http://b");
    assert_string_equal(table->settings->upstreams[2].base, "http://c/x");
    table_drop(table);
}

static void without_an_experiment_the_default_serves(void **state)
{
    (void)state;
    struct route_table *table = table_of("", NULL, 0);
    assert_string_equal(serves(table, "user-42"), "v2");
    assert_string_equal(table->fault, "");
    table_drop(table);

    table = table_of(", default: v3, experiment: e", NULL, 0);
    assert_string_equal(serves(table, "user-42"), "v3");
    assert_string_equal(table->fault, "there is no experiment e yet");
    table_drop(table);
}

static void units_are_served_by_the_contracts_hash(void **state)
{
    (void)state;
    /* contract §6: bucket("credit-v4", "user-42") = 0.0627, "user-1": 0.7698 */
    const struct {
        double weight;
        const char *user_42, *user_1;
    } cases[] = {
        {0, "v3", "v3"}, {6.2, "v3", "v3"}, {6.3, "v4", "v3"}, {77, "v4", "v4"}, {100, "v4", "v4"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct route_table *table = table_of("", EXPERIMENT, cases[i].weight);
        assert_string_equal(serves(table, "user-42"), cases[i].user_42);
        assert_string_equal(serves(table, "user-1"), cases[i].user_1);
        assert_float_equal(table_share(table), cases[i].weight / 100, 0);
        table_drop(table);
    }
}

static void nobody_leaves_the_treatment_when_it_grows(void **state)
{
    (void)state;
    struct route_table *small = table_of("", EXPERIMENT, 5);
    struct route_table *half = table_of("", EXPERIMENT, 50);
    int n_small = 0, n_half = 0;
    for (int i = 0; i < 20000; i++) {
        char unit[32];
        int n = snprintf(unit, sizeof(unit), "u%d", i);
        bool before = table_choose(small, unit, (size_t)n).treated;
        bool after = table_choose(half, unit, (size_t)n).treated;
        assert_true(after || !before);
        n_small += before;
        n_half += after;
    }
    assert_in_range(n_small, 900, 1100);
    assert_in_range(n_half, 9700, 10300);
    table_drop(small);
    table_drop(half);
}

static void a_version_without_an_upstream_is_told_and_control_serves(void **state)
{
    (void)state;
    struct route_table *table =
        table_of("", "{\"control\":\"v3\",\"treatment\":\"v9\",\"salt\":\"s\"}", 100);
    assert_string_equal(serves(table, "user-42"), "v3");
    assert_string_equal(table->fault, "treatment v9 of e has no upstream");
    assert_float_equal(table_share(table), 0, 0);
    table_drop(table);

    table = table_of("", "{\"control\":\"v1\",\"treatment\":\"v4\",\"salt\":\"s\"}", 0);
    assert_string_equal(serves(table, "user-42"), "v2");
    assert_string_equal(table->fault, "control v1 of e has no upstream");
    table_drop(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_lose_the_slash_at_their_end),
        cmocka_unit_test(without_an_experiment_the_default_serves),
        cmocka_unit_test(units_are_served_by_the_contracts_hash),
        cmocka_unit_test(nobody_leaves_the_treatment_when_it_grows),
        cmocka_unit_test(a_version_without_an_upstream_is_told_and_control_serves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
