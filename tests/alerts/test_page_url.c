/* Where the links in messages lead: an alert of each kind to the page that shows it. */
#include "alerts/page_url.h"

#include <string.h>

#include "tests/test.h"

#define START INT64_C(1700006400000)
#define HOUR INT64_C(3600000)
#define SPAN "&from=1699966800000&to=1700010000000"

static const char yaml[] =
    "models:\n"
    "  - {name: a b, task: binary, segments: [country], features: {income: {type: numeric}}}\n"
    "alerts:\n"
    "  - {name: level, model: a b, version: v/2, segment: {country: de}, metric: 'precision', "
    "window: 1h, below: 0.5}\n"
    "  - {name: trend, model: a b, metric: roc_auc, window: 1h, trend: decreasing, points: 3}\n"
    "  - {name: any, model: a b, drift: any, window: 1h}\n"
    "  - {name: one, model: a b, version: v1, drift: feature, feature: income, window: 1h}\n"
    "  - {name: joint, model: a b, drift: feature, feature: '@multivariate', window: 1h}\n"
    "  - {name: missing, model: a b, quality: missing, feature: income, above: 0.1, window: 1h}\n"
    "  - {name: range, model: a b, quality: range, above: 0.1, window: 1h}\n"
    "  - {name: silent, model: a b, absent: 10m, window: 1h}\n"
    "  - {name: rolled, experiment: any, on: rolled_back}\n"
    "  - {name: held, experiment: 'e 1', on: held}\n"
    "  - {name: behind, lag: 100}\n"
    "  - {name: tampered, audit: broken}\n";

static void assert_leads(const struct rule_set *rules, const char *rule, const char *experiment,
                         const char *expected)
{
    struct reading reading = {.start_ms = START, .end_ms = START + HOUR};
    strcpy(reading.experiment, experiment);
    struct buf url;
    buf_init(&url, 4096);

    page_url_alert(&url, "http://page", rule_set_find(rules, rule), &reading);

    buf_bytes(&url, "", 1);
    assert_string_equal((const char *)url.data, expected);
    buf_finish(&url);
}

static void an_alert_of_each_kind_leads_to_what_shows_it(void **state)
{
    (void)state;
    AUTO(config) struct config *config = NULL;
    AUTO(rule_set) struct rule_set *rules = NULL;
    struct err err = {0};
    assert_int_equal(config_parse(&config, "assay.yaml", yaml, strlen(yaml), &err), 0);
    assert_int_equal(rule_set_parse(&rules, config, &err), 0);

    assert_leads(rules, "level", "",
                 "http://page/#/models/a%20b?window=1h&metrics=precision&version=v%2F2"
                 "&segment=country%3Ade" SPAN);
    assert_leads(rules, "trend", "", "http://page/#/models/a%20b?window=1h&metrics=roc_auc" SPAN);
    assert_leads(rules, "any", "",
                 "http://page/#/models/a%20b/drift?window=1h" SPAN "&at=1700006400000");
    assert_leads(rules, "one", "",
                 "http://page/#/models/a%20b/drift?window=1h&feature=income&version=v1" SPAN
                 "&at=1700006400000");
    assert_leads(rules, "joint", "",
                 "http://page/#/models/a%20b/drift?window=1h&feature=all%20features%20together" SPAN
                 "&at=1700006400000");
    assert_leads(
        rules, "missing", "",
        "http://page/#/models/a%20b/drift?window=1h&statistic=missing_rate&feature=income" SPAN
        "&at=1700006400000");
    assert_leads(rules, "range", "",
                 "http://page/#/models/a%20b/drift?window=1h&statistic=invalid_rate" SPAN
                 "&at=1700006400000");
    assert_leads(rules, "silent", "", "http://page/#/models/a%20b?window=1h" SPAN);
    assert_leads(rules, "rolled", "credit-v4", "http://page/#/releases/credit-v4");
    assert_leads(rules, "rolled", "", "http://page/#/releases");
    assert_leads(rules, "held", "", "http://page/#/releases/e%201");
    assert_leads(rules, "behind", "", "http://page/#/system");
    assert_leads(rules, "tampered", "", "http://page/#/alerts");
}

static void without_an_address_of_the_page_there_is_no_link(void **state)
{
    (void)state;
    struct reading reading = {.end_ms = START};
    struct alert_rule rule = {.kind = RULE_EXPERIMENT, .experiment = "any"};
    struct buf url;
    buf_init(&url, 4096);

    page_url_alert(&url, "", &rule, &reading);
    page_url_release(&url, "", "credit-v4");

    assert_int_equal(url.size, 0);
    buf_finish(&url);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alert_of_each_kind_leads_to_what_shows_it),
        cmocka_unit_test(without_an_address_of_the_page_there_is_no_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
