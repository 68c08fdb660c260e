#include "alerts/rule.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "alerts/reading.h"
#include "alerts/route.h"
#include "tests/test.h"

static const char models[] = "models:\n"
                             "  - {name: credit, task: binary, segments: [country], metrics: "
                             "[{name: ctr, outcome: click, per: prediction}]}\n";

static int parse(struct rule_set **out, struct config **config, const char *yaml, struct err *err)
{
    char text[4096];
    int n = snprintf(text, sizeof(text), "%s%s", models, yaml);
    assert_int_equal(config_parse(config, "assay.yaml", text, (size_t)n, err), 0);
    return rule_set_parse(out, *config, err);
}

static void a_rule_has_what_the_contract_says(void **state)
{
    (void)state;
    AUTO(config) struct config *config = NULL;
    AUTO(rule_set) struct rule_set *set = NULL;
    struct err err = {0};
    int rc = parse(&set, &config,
                   "alerts:\n"
                   "  - {name: auc-low, model: credit, metric: roc_auc, window: 1h, below: 0.80, "
                   "clear: 0.82, for: 10m, keep_firing_for: 5m, severity: critical, segment: "
                   "{country: de}, labels: {team: risk}}\n"
                   "  - {name: silent, model: credit, absent: 10m}\n"
                   "  - {name: tls, certificate: 14d}\n"
                   "  - {name: ctr-low, model: credit, metric: ctr, below: 0.1, relative_to: 7d}\n",
                   &err);
    assert_string_equal(err.text, "");
    assert_int_equal(rc, 0);
    assert_int_equal(rule_set_count(set), 4);

    const struct alert_rule *rule = rule_set_find(set, "auc-low");
    assert_int_equal(rule->kind, RULE_LEVEL);
    assert_false(rule->above);
    assert_float_equal(rule->level, 0.80, 0);
    assert_float_equal(rule->clear, 0.82, 0);
    assert_int_equal(rule->timing.for_ms, 10 * MINUTE);
    assert_int_equal(rule->timing.keep_firing_for_ms, 5 * MINUTE);
    assert_int_equal(rule->severity, SEVERITY_CRITICAL);
    assert_string_equal(rule->slice, "country=de");
    assert_string_equal(rule->labels[0].value, "risk");
    assert_true(rule->interval);
    assert_int_equal(rule_set_find(set, "silent")->absent_ms, 10 * MINUTE);
    assert_int_equal(rule_set_find(set, "tls")->certificate_ms, 14 * 24 * HOUR);
    assert_int_equal(rule_set_find(set, "ctr-low")->relative_ms, 7 * 24 * HOUR);
}

static void bad_rules_are_refused_by_file_line_and_key(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        const char *text;
    } rows[] = {
        {"{model: credit, metric: roc_auc, below: 1}", "alerts[0]: needs `name`"},
        {"{name: a, model: credt, metric: roc_auc, below: 1}",
         "alerts[0].model: \"credt\" is not configured; did you mean credit?"},
        {"{name: a, model: credit, metric: roc_auc, below: 1, segment: {contry: de}}",
         "alerts[0].segment: \"contry\" is none of the model's `segments`; did you mean country?"},
        {"{name: a, certificate: 0s}", "alerts[0].certificate: must be above 0"},
        {"{name: a, model: credit, drift: any, above: 0.1}",
         "alerts[0].above: is given with `drift: share`, and only there"},
        {"{name: a, model: credit, drift: feature}",
         "alerts[0].feature: is given with `drift: feature`, and only there"},
        {"{name: a, model: credit, drift: share, above: 3}", "alerts[0].above: 3 is not in 0..1"},
        {"{name: a, model: credit, drift: some}", "alerts[0].drift"},
        {"{name: a, model: credit, quality: missing}",
         "alerts[0].above: is missing: the share of values that is too much"},
        {"{name: a, model: credit, quality: misssing, above: 0.1}",
         "alerts[0].quality: \"misssing\" is unknown; did you mean missing?"},
        {"{name: a, model: credit, quality: range, above: 1.5}",
         "alerts[0].above: 1.5 is not in 0..1"},
        {"{name: a, experiment: any}",
         "alerts[0].on: is missing: rolled_back, promoted, step, held or srm"},
        {"{name: a, experiment: any, on: rolledback}",
         "alerts[0].on: \"rolledback\" is unknown; did you mean rolled_back?"},
        {"{name: a, model: credit, metric: roc_auc, below: 1, on: held}",
         "alerts[0].on: belongs to `experiment`"},
        {"{name: a, audit: fine}", "alerts[0].audit: \"fine\" is none of broken"},
        {"{name: a, model: credit, change: any}",
         "alerts[0].change: model credit has no `changes`: {expected_run_time: …}"},
        {"{name: a, model: credit, metric: roc_auc, trend: decreasing, points: 4, "
         "false_alarm_rate: 0.01}",
         "alerts[0].false_alarm_rate: 0.01 cannot be reached with 4 points: even a rise each time "
         "is as probable as 0.045"},
        {"{name: a, model: credit, metric: roc_auc, trend: decreasing, false_alarm_rate: 0}",
         "alerts[0].false_alarm_rate: 0 is not above 0 and at most 0.5"},
        {"{name: a, model: credit, absent: 5m, drift: any}", "alerts[0]: is only one of `absent`"},
        {"{name: a, model: credit, metric: roc_auc, below: -0.1, relative_to: yesterday}",
         "alerts[0].relative_to: \"yesterday\" is not previous, reference, realised or a time back "
         "such as "
         "7d"},
        {"{name: a, model: credit, metric: roc_auc, below: -0.1, relative_to: realised}",
         "alerts[0].relative_to: realised is for estimates, as estimated_accuracy; \"roc_auc\" is "
         "none"},
        {"{name: a, model: credit, metric: roc_acu, below: 0.8}",
         "alerts[0].metric: metric 'roc_acu' is unknown; did you mean 'roc_auc'?"},
        {"{name: a, model: credit, metric: roc_auc}",
         "alerts[0]: needs exactly one of `below` and `above`"},
        {"{name: a, model: credit, metric: roc_auc, below: 0.8, clear: 0.7}",
         "alerts[0].clear: 0.7 must lie on the good side of 0.8"},
        {"{name: a, model: credit, metric: roc_auc, belov: 0.8}",
         "alerts[0].belov: unknown key; did you mean below?"},
        {"{name: a, model: credit, metric: roc_auc, below: 0.8, for: 10x}",
         "alerts[0].for: \"10x\" is not a duration such as 10m"},
        {"{name: a, model: credit, metric: roc_auc, below: 0.8, severity: critcal}",
         "alerts[0].severity: \"critcal\" is unknown; did you mean critical?"},
        {"{name: a, model: credit, metric: roc_auc, below: 0.8, severity: page}",
         "alerts[0].severity: \"page\" is none of info, warning, error, critical"},
        {"{name: a, model: credit, absent: 1m}, {name: a, model: credit, absent: 2m}",
         "alerts[1].name: \"a\" is there twice"},
        {"{name: a, model: credit, absent: 1m, inhibit: [b]}",
         "alerts[0].inhibit: no rule is named \"b\""},
        {"{name: a, model: credit, absent: 1m, trend: decreasing}",
         "alerts[0]: is only one of `absent`, `drift`, `quality`, "},
        {"{name: a, model: credit, metric: mse, above: 1}", "alerts[0].metric: "},
        {"{name: a, model: credit, segment: {country: de}, drift: feature, feature: "
         "\"@multivariate\"}",
         "alerts[0].segment: @multivariate judges all features together, and those of the whole "
         "model only; leave the segment out, or give it `drift: any`"},
        {"{name: a, model: credit, segment: {country: de}, drift: feature, feature: "
         "\"@domain_classifier\"}",
         "alerts[0].segment: @domain_classifier judges all features together"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        AUTO(config) struct config *config = NULL;
        AUTO(rule_set) struct rule_set *set = NULL;
        struct err err = {0};
        char yaml[1024];
        snprintf(yaml, sizeof(yaml), "alerts: [%s]\n", rows[i].rule);
        assert_int_equal(parse(&set, &config, yaml, &err), ERR_DATA);
        assert_true(strncmp(err.text, "assay.yaml:3: ", 14) == 0);
        if (strncmp(err.text + 14, rows[i].text, strlen(rows[i].text)) != 0)
            fail_msg("got \"%s\", expected \"%s\"", err.text + 14, rows[i].text);
    }
}

static void a_change_in_a_slice_is_looked_for_where_it_is_watched(void **state)
{
    (void)state;
    static const struct {
        const char *rule, *text; /* NULL: it stands */
    } rows[] = {
        {"segment: {country: de}, change: accuracy", NULL},
        {"segment: {country: de}, change: any", NULL},
        {"change: income", NULL},
        {"segment: {country: de}, change: income",
         "alerts[0].change: income is a feature, which is watched in slices only where "
         "`changes.segment_features` names it"},
        {"segment: {country: de}, change: age", NULL},
        {"segment: {country: de}, change: \"@score\"", "alerts[0].change: @score is a feature"},
        {"segment: {tier: gold}, change: any",
         "alerts[0].segment: model churn looks for no changes there: its `changes` has no such key "
         "in `segments`"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        AUTO(config) struct config *config = NULL;
        AUTO(rule_set) struct rule_set *set = NULL;
        struct err err = {0};
        char yaml[1024];
        int n = snprintf(yaml, sizeof(yaml),
                         "models:\n  - {name: churn, task: binary, segments: [country, tier], "
                         "features: {income: {type: numeric}, age: {type: numeric}}, "
                         "changes: {expected_run_time: 50000, segments: [country], "
                         "segment_features: [age]}}\nalerts: [{name: a, model: churn, %s}]\n",
                         rows[i].rule);
        assert_int_equal(config_parse(&config, "assay.yaml", yaml, (size_t)n, &err), 0);
        assert_int_equal(rule_set_parse(&set, config, &err), rows[i].text ? ERR_DATA : 0);
        if (rows[i].text)
            assert_non_null(strstr(err.text, rows[i].text));
    }
}

static void the_whole_interval_must_lie_beyond_the_level(void **state)
{
    (void)state;
    struct alert_rule rule = {.level = 0.80, .clear = 0.82, .interval = true};
    assert_int_equal(reading_judge(&rule, 0.79, 0.75, 0.83), SIGHT_BETWEEN); /* may be noise */
    assert_int_equal(reading_judge(&rule, 0.75, 0.71, 0.79), SIGHT_BAD);
    assert_int_equal(reading_judge(&rule, 0.81, 0.80, 0.82), SIGHT_BETWEEN); /* hysteresis */
    assert_int_equal(reading_judge(&rule, 0.82, 0.78, 0.86), SIGHT_CLEAR);
    assert_int_equal(reading_judge(&rule, (double)NAN, 0, 0), SIGHT_NO_DATA);

    rule.interval = false;
    assert_int_equal(reading_judge(&rule, 0.79, 0.75, 0.83), SIGHT_BAD);

    struct alert_rule above = {.above = true, .level = 100, .clear = 90, .interval = true};
    assert_int_equal(reading_judge(&above, 120, 101, 139), SIGHT_BAD);
    assert_int_equal(reading_judge(&above, 120, 99, 141), SIGHT_BETWEEN);
    assert_int_equal(reading_judge(&above, 90, 80, 100), SIGHT_CLEAR);
}

static void mute_windows_are_utc_and_do_not_move_with_summer_time(void **state)
{
    (void)state;
    const struct mute_window nights = {0x7f, 1 * 60, 3 * 60};
    struct alert_rule rule = {.mute = &nights, .n_mute = 1};
    /* Europe's clocks went from 02:00 to 03:00 on 2026-03-29, and back on 2026-10-25, at 01:00 UTC
     */
    const int64_t days[] = {INT64_C(1774742400000), INT64_C(1792886400000)};
    for (size_t i = 0; i < 2; i++) {
        for (int64_t day = days[i] - 24 * HOUR; day <= days[i] + 24 * HOUR; day += 24 * HOUR) {
            assert_false(rule_muted(&rule, day + HOUR - 1));
            assert_true(rule_muted(&rule, day + HOUR));
            assert_true(rule_muted(&rule, day + 3 * HOUR - 1));
            assert_false(rule_muted(&rule, day + 3 * HOUR));
        }
    }
}

static void mute_windows_recur_and_may_cross_midnight(void **state)
{
    (void)state;
    const struct mute_window weekend_nights = {1U << 6 | 1U << 0, 22 * 60, 6 * 60};
    struct alert_rule rule = {.mute = &weekend_nights, .n_mute = 1};
    const int64_t saturday = 2 * 24 * HOUR; /* 1970-01-03 */
    assert_false(rule_muted(&rule, saturday + 21 * HOUR));
    assert_true(rule_muted(&rule, saturday + 22 * HOUR));
    assert_true(rule_muted(&rule, saturday + 24 * HOUR + 5 * HOUR));  /* Sunday 05:00 */
    assert_false(rule_muted(&rule, saturday + 24 * HOUR + 6 * HOUR)); /* Sunday 06:00 */
    assert_true(rule_muted(&rule, saturday + 48 * HOUR + 5 * HOUR));  /* Monday 05:00 */
    assert_false(rule_muted(&rule, saturday + 48 * HOUR + 22 * HOUR));
}

static int list_target(void *context, const struct route_target *target, const char *group_key)
{
    (void)target;
    char *text = context;
    snprintf(text + strlen(text), 512 - strlen(text), "%s ", group_key);
    return 0;
}

static void routed(const char *yaml, const struct part_pair *pairs, size_t n, const char *expected)
{
    static const char *const receivers[] = {"oncall", "slack"};
    AUTO(config) struct config *config = NULL;
    AUTO(route) struct route *route = NULL;
    struct err err = {0};
    char text[512] = "";
    assert_int_equal(config_parse(&config, "assay.yaml", yaml, strlen(yaml), &err), 0);
    assert_int_equal(route_parse(&route, config, receivers, 2, &err), 0);
    struct label_set labels = {pairs, n};
    assert_int_equal(route_match(route, &labels, list_target, text), 0);
    assert_string_equal(text, expected);
}

static const char tree[] = "route:\n"
                           "  receiver: oncall\n"
                           "  group_by: [model]\n"
                           "  routes:\n"
                           "    - {matchers: ['severity=\"info\"'], receiver: slack}\n"
                           "    - {matchers: ['team=~\"risk|fraud\"'], receiver: slack, continue: "
                           "true}\n"
                           "    - {matchers: ['team!=\"\"'], receiver: oncall, group_by: [team]}\n";

static void routes_choose_as_in_alertmanager(void **state)
{
    (void)state;
    const struct part_pair info[] = {{"model", "credit"}, {"severity", "info"}};
    const struct part_pair risk[] = {{"model", "credit"}, {"team", "risk"}};
    const struct part_pair none[] = {{"model", "credit"}};
    routed(tree, info, 2, "slack{model=\"credit\",} ");
    routed(tree, risk, 2, "slack{model=\"credit\",} oncall{team=\"risk\",} ");
    routed(tree, none, 1, "oncall{model=\"credit\",} ");
}

static void a_route_to_nobody_is_refused(void **state)
{
    (void)state;
    static const char *const receivers[] = {"oncall"};
    AUTO(config) struct config *config = NULL;
    AUTO(route) struct route *route = NULL;
    struct err err = {0};
    static const char yaml[] = "storage: {path: a.db}\nroute: {receiver: onkall}\n";
    assert_int_equal(config_parse(&config, "assay.yaml", yaml, strlen(yaml), &err), 0);
    assert_int_equal(route_parse(&route, config, receivers, 1, &err), ERR_DATA);
    assert_string_equal(err.text, "assay.yaml:2: route.receiver: no receiver is named \"onkall\"; "
                                  "did you mean oncall?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_has_what_the_contract_says),
        cmocka_unit_test(bad_rules_are_refused_by_file_line_and_key),
        cmocka_unit_test(a_change_in_a_slice_is_looked_for_where_it_is_watched),
        cmocka_unit_test(the_whole_interval_must_lie_beyond_the_level),
        cmocka_unit_test(mute_windows_recur_and_may_cross_midnight),
        cmocka_unit_test(mute_windows_are_utc_and_do_not_move_with_summer_time),
        cmocka_unit_test(routes_choose_as_in_alertmanager),
        cmocka_unit_test(a_route_to_nobody_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
