#include "common/config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "tests/test.h"

static struct config *parse(const char *yaml)
{
    struct config *config = NULL;
    struct err err = {0};
    if (config_parse(&config, "assay.yaml", yaml, strlen(yaml), &err))
        fail_msg("refused: %s", err.text);
    return config;
}

static void assert_refused(const char *yaml, const char *text)
{
    struct config *config = NULL;
    struct err err = {0};
    if (config_parse(&config, "assay.yaml", yaml, strlen(yaml), &err) == 0) {
        config_free(config);
        fail_msg("taken, but should say: %s", text);
    }
    assert_int_equal(err.code, ERR_DATA);
    assert_string_equal(err.text, text);
}

static void an_empty_file_gives_the_defaults(void **state)
{
    (void)state;
    static const char *const empty[] = {"", "# nothing\n", "{}", "---\n...\n", "http:\nkafka:\n"};
    for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
        AUTO(config) struct config *c = parse(empty[i]);
        assert_string_equal(c->storage_path, "assay.db");
        assert_int_equal(c->retention_ms[0], 48 * HOUR);
        assert_int_equal(c->retention_ms[1], 35 * 24 * HOUR);
        assert_int_equal(c->retention_ms[2], 400 * 24 * HOUR);
        assert_int_equal(c->dead_letter_retention_ms, 7 * 24 * HOUR);
        assert_string_equal(c->http.address, "127.0.0.1");
        assert_int_equal(c->http.port, 8080);
        assert_false(c->http.insecure);
        assert_int_equal(c->http.max_connections, 200);
        assert_null(c->kafka.brokers);
        assert_int_equal(c->n_models, 0);
        assert_null(c->auto_models.task);
        assert_int_equal(c->limits.models, 1000);
        assert_int_equal(c->limits.pending_memory, INT64_C(4) << 30);
        assert_string_equal(c->alerts.json, "[]");
        assert_string_equal(c->route.json, "{}");
    }
}

static void every_key_reaches_its_struct(void **state)
{
    (void)state;
    AUTO(config)
    struct config *c = parse(
        "storage: {path: /var/lib/assay/a.db, retention: {1m: 24h}, dead_letter_retention: 1d}\n"
        "http:\n"
        "  listen: '[::]:9000'\n"
        "  tls: {cert: /etc/cert.pem, key: /etc/key.pem}\n"
        "  tokens: /etc/tokens\n"
        "  limits: {connections: 10, per_address: 5, streams_per_token: 2, rate: 7}\n"
        "kafka:\n"
        "  brokers: a:9092,b:9092\n"
        "  properties: {security.protocol: SASL_SSL, fetch.min.bytes: 10, check.crcs: true}\n"
        "  topics:\n"
        "    - {name: predictions}\n"
        "    - {name: raw, format: json, start: latest, on_recreated: earliest, model: m,\n"
        "       version: 3, mapping: {id: /a/b, type: =label}}\n"
        "  dead_letter: dead\n"
        "models:\n"
        "  - name: credit\n"
        "    task: multiclass\n"
        "    positive: 1.0\n"
        "    threshold: 0.25\n"
        "    label_horizon: 90s\n"
        "    timezone: Europe/Berlin\n"
        "    features:\n"
        "      income: {min: 0}\n"
        "      city: {values: [berlin, 1.50, yes], required: true}\n"
        "      emb: {type: embedding}\n"
        "    segments: [country, tier]\n"
        "    metrics:\n"
        "      - {name: ctr, outcome: click, per: unit, agg: sum}\n"
        "      - {name: net, expr: '100*tp'}\n"
        "    reference: {from: 2023-11-14T22:13:20Z, to: 1700000600000}\n"
        "    drift: {method: ks, false_alarm_rate: 0.05, min_effect: 0}\n"
        "  - {name: \"2\", task: regression}\n"
        "auto_models: {task: binary, max: 7, label_horizon: 1h}\n"
        "limits: {models: 5, slices: 6, categories: 7, pending_memory: 64MiB}\n");

    assert_string_equal(c->storage_path, "/var/lib/assay/a.db");
    assert_int_equal(c->retention_ms[0], 24 * HOUR);
    assert_int_equal(c->dead_letter_retention_ms, 24 * HOUR);
    assert_string_equal(c->http.address, "::");
    assert_int_equal(c->http.port, 9000);
    assert_string_equal(c->http.tls_key, "/etc/key.pem");
    assert_string_equal(c->http.tokens, "/etc/tokens");
    assert_int_equal(c->http.max_connections, 10);
    assert_int_equal(c->http.max_rate, 7);

    assert_string_equal(c->kafka.brokers, "a:9092,b:9092");
    assert_string_equal(c->kafka.group, "assay");
    assert_int_equal(c->kafka.n_properties, 3);
    assert_string_equal(c->kafka.properties[1].key, "fetch.min.bytes");
    assert_string_equal(c->kafka.properties[1].value, "10");
    assert_string_equal(c->kafka.properties[2].value, "true");
    assert_int_equal(c->kafka.n_topics, 2);
    assert_string_equal(c->kafka.topics[0].format, "assay");
    assert_false(c->kafka.topics[0].start_latest);
    assert_true(c->kafka.topics[1].start_latest);
    assert_int_equal(c->kafka.topics[1].on_recreated, RECREATED_EARLIEST);
    assert_string_equal(c->kafka.topics[1].version, "3");
    assert_int_equal(c->kafka.topics[1].n_mapping, 2);
    assert_string_equal(c->kafka.topics[1].mapping[0].value, "/a/b");
    assert_string_equal(c->kafka.dead_letter, "dead");

    const struct config_model *m = config_model_find(c, "credit");
    assert_ptr_equal(m, &c->models[0]);
    assert_string_equal(m->task, "multiclass");
    assert_string_equal(m->positive, "1");
    assert_true(m->threshold == 0.25);
    assert_int_equal(m->label_horizon_ms, 90000);
    assert_int_equal(m->window_ms, MINUTE);
    assert_string_equal(m->timezone, "Europe/Berlin");
    assert_int_equal(m->line, 16);
    assert_int_equal(m->n_features, 3);
    assert_string_equal(m->features[0].name, "income");
    assert_int_equal(m->features[0].type, FEATURE_NUMERIC);
    assert_true(m->features[0].min == 0 && isnan(m->features[0].max));
    assert_int_equal(m->features[1].type, FEATURE_CATEGORICAL);
    assert_true(m->features[1].required);
    assert_int_equal(m->features[1].n_values, 3);
    assert_string_equal(m->features[1].values[1], "1.5");
    assert_string_equal(m->features[1].values[2], "yes");
    assert_int_equal(m->features[2].type, FEATURE_EMBEDDING);
    assert_int_equal(m->n_segments, 2);
    assert_string_equal(m->segments[1], "tier");
    assert_int_equal(m->n_metrics, 2);
    assert_string_equal(m->metrics[0].outcome, "click");
    assert_string_equal(m->metrics[0].per, "unit");
    assert_string_equal(m->metrics[0].agg, "sum");
    assert_string_equal(m->metrics[1].expr, "100*tp");
    assert_int_equal(m->metrics[1].line, 29);
    assert_int_equal(m->reference.from_ms, 1700000000000);
    assert_int_equal(m->reference.to_ms, 1700000600000);
    assert_string_equal(m->drift.method, "ks");
    assert_true(m->drift.false_alarm_rate == 0.05 && m->drift.min_effect == 0);

    assert_string_equal(c->models[1].name, "2");
    assert_string_equal(c->models[1].positive, "1");
    assert_string_equal(c->models[1].drift.method, "auto");
    assert_true(c->models[1].threshold == 0.5);
    assert_null(config_model_find(c, "nobody"));
    assert_string_equal(c->auto_models.task, "binary");
    assert_int_equal(c->auto_models.max, 7);
    assert_int_equal(c->auto_models.label_horizon_ms, HOUR);
    assert_int_equal(c->limits.categories, 7);
    assert_int_equal(c->limits.pending_memory, 64 << 20);
}

static void parts_become_json_with_their_lines(void **state)
{
    (void)state;
    AUTO(config)
    struct config *c =
        parse("alerts:\n"
              "  - {name: a, below: 0.80, for: 10m, n: 12345678901234567}\n"
              "\n"
              "  - {name: \"7\", interval: true, text: yes, x: ~, list: [1, 'b\"']}\n"
              "route: {receiver: oncall}\n");
    assert_string_equal(
        c->alerts.json,
        "[{\"name\":\"a\",\"below\":0.8,\"for\":\"10m\",\"n\":12345678901234567},"
        "{\"name\":\"7\",\"interval\":true,\"text\":\"yes\",\"x\":null,\"list\":[1,\"b\\\"\"]}]");
    assert_int_equal(c->alerts.line, 2);
    assert_int_equal(c->alerts.n_items, 2);
    assert_int_equal(c->alerts.item_lines[1], 4);
    assert_string_equal(c->route.json, "{\"receiver\":\"oncall\"}");
    assert_int_equal(c->route.line, 5);
    assert_string_equal(c->sinks.json, "[]");
}

static void a_text_takes_environment_variables(void **state)
{
    (void)state;
    setenv("ASSAY_TEST_BROKER", "kafka:9092", 1);
    setenv("ASSAY_TEST_PORT", "9999", 1);
    unsetenv("ASSAY_TEST_MISSING");
    AUTO(config)
    struct config *c = parse("kafka: {brokers: \"${ASSAY_TEST_BROKER}\", topics: [{name: a$b}]}\n"
                             "http: {listen: \"127.0.0.1:${ASSAY_TEST_PORT}\"}\n"
                             "alerts:\n"
                             "- name: $${X}\n"
                             "  port: ${ASSAY_TEST_PORT}\n");
    assert_string_equal(c->kafka.brokers, "kafka:9092");
    assert_string_equal(c->kafka.topics[0].name, "a$b");
    assert_int_equal(c->http.port, 9999);
    assert_string_equal(c->alerts.json, "[{\"name\":\"${X}\",\"port\":9999}]");

    assert_refused(
        "storage:\n  path: ${ASSAY_TEST_MISSING}\n",
        "assay.yaml:2: storage.path: environment variable ASSAY_TEST_MISSING is not set");
    assert_refused(
        "receivers:\n- {name: a}\n- name: b\n  url: ${ASSAY_TEST_MISSING}\n",
        "assay.yaml:4: receivers[1].url: environment variable ASSAY_TEST_MISSING is not set");
    assert_refused("a: [b, ['${ASSAY_TEST_MISSING}']]\n",
                   "assay.yaml:1: a[1][0]: environment variable ASSAY_TEST_MISSING is not set");
    assert_refused("${ASSAY_TEST_MISSING}: a\n",
                   "assay.yaml:1: environment variable ASSAY_TEST_MISSING is not set");
    assert_refused("storage: {path: \"${\"}\n",
                   "assay.yaml:1: ${ needs a name and }; a bare ${ is written $${");
}

static void anchors_are_copies(void **state)
{
    (void)state;
    AUTO(config)
    struct config *c = parse("alerts:\n"
                             "  - &base {window: 1h, deep: [1, 2]}\n"
                             "  - *base\n"
                             "  - {name: &n x, other: *n}\n");
    assert_string_equal(c->alerts.json,
                        "[{\"window\":\"1h\",\"deep\":[1,2]},{\"window\":\"1h\",\"deep\":[1,2]},"
                        "{\"name\":\"x\",\"other\":\"x\"}]");
}

#define M "models: [{name: m, task: binary, "

static void what_is_wrong_is_told_with_file_line_and_key(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        const char *text;
    } rows[] = {
        {"models:\n- name: a\n  task: binary\n  threshold: 1.7\n",
         "assay.yaml:4: models[0].threshold: 1.7 is not in 0..1"},
        {"models:\n- name: a\n  task: binary\n  treshold: 0.7\n",
         "assay.yaml:4: models[0].treshold: unknown key; did you mean threshold?"},
        {"colour: red\n", "assay.yaml:1: colour: unknown key"},
        {M "threshold: high}]", "assay.yaml:1: models[0].threshold: high is not a number"},
        {M "threshold: \"0.5\"}]", "assay.yaml:1: models[0].threshold: 0.5 is not a number"},
        {M "threshold: [1]}]",
         "assay.yaml:1: models[0].threshold: has to be one value, not a list or a map"},
        {"models: [{name: m, task: binry}]",
         "assay.yaml:1: models[0].task: binry is none of binary, multiclass, regression, ranking, "
         "segmentation; did you mean binary?"},
        {"models: [{name: m}]",
         "assay.yaml:1: models[0].task: is missing: what it predicts; decides which metrics there "
         "are"},
        {"models: [{task: binary}]",
         "assay.yaml:1: models[0].name: is missing: as the events name it"},
        {"models: {name: m}", "assay.yaml:1: models: has to be a list of {…}"},
        {"models: [m]", "assay.yaml:1: models[0]: has to be a map of keys"},
        {"models:\n- {name: m, task: binary}\n- {name: b, task: binary}\n- {name: m, task: "
         "binary}\n",
         "assay.yaml:4: models[2]: model m is here a second time, first in line 2"},
        {"models: [{name: \"a\\nb\", task: binary}]",
         "assay.yaml:1: models[0].name: has to be 1 to 256 bytes without control characters, and "
         "not . or .."},
        {"models: [{name: .., task: binary}]",
         "assay.yaml:1: models[0].name: has to be 1 to 256 bytes without control characters, and "
         "not . or .."},
        {M "label_horizon: 7}]",
         "assay.yaml:1: models[0].label_horizon: 7 is not a duration, as 500ms, 30s, 5m, 1h or 7d"},
        {M "label_horizon: 500d}]",
         "assay.yaml:1: models[0].label_horizon: 500d is not in 1s..400d"},
        {M "window: 5m}]", "assay.yaml:1: models[0].window: 5m is not possible yet, only 1m"},
        {M "segments: [a, b, a]}]", "assay.yaml:1: models[0].segments[2]: a is here a second time"},
        {M "segments: a}]", "assay.yaml:1: models[0].segments: has to be a list, as [a, b]"},
        {M "features: {x: {min: 2, max: 1}}}]",
         "assay.yaml:1: models[0].features.x.min: is larger than max"},
        {M "features: {x: {type: categorical, min: 2}}}]",
         "assay.yaml:1: models[0].features.x.min: is for numeric features only"},
        {M "features: {x: {type: numeric, values: [a]}}}]",
         "assay.yaml:1: models[0].features.x.values: is for categorical features only"},
        {M "features: {'@score': {type: numeric}}}]",
         "assay.yaml:1: models[0].features.@score: is what the model makes or its label, no "
         "feature "
         "of its events"},
        {M "features: {x: {name: y}}}]", "assay.yaml:1: models[0].features.x.name: unknown key"},
        {M "features: {x: {min: .inf}}}]",
         "assay.yaml:1: models[0].features.x.min: .inf is not a number"},
        {M "metrics: [{name: a}]}]",
         "assay.yaml:1: models[0].metrics[0]: needs either outcome or expr"},
        {M "metrics: [{name: a, expr: tp}, {name: a, expr: fp}]}]",
         "assay.yaml:1: models[0].metrics[1]: metric a is here a second time"},
        {M "reference: {file: a, version: b}}]",
         "assay.yaml:1: models[0].reference: needs one of file, from with to, version or "
         "trailing"},
        {M "reference: {from: 5}}]", "assay.yaml:1: models[0].reference.to: is missing"},
        {M "reference: {from: 5, to: 5}}]",
         "assay.yaml:1: models[0].reference.to: has to be after from"},
        {M "reference: {trailing: 3d, rhythm: week}}]",
         "assay.yaml:1: models[0].reference.rhythm: week needs `trailing` of at least 7d"},
        {M "reference: {file: a, rhythm: day}}]",
         "assay.yaml:1: models[0].reference.rhythm: day needs `trailing` of at least 1d"},
        {M "reference: {trailing: 60d, rhythm: week}}]",
         "assay.yaml:1: models[0]: reference.rhythm needs the hours of all of `trailing`, which is "
         "longer than storage.retention keeps 1h"},
        {M "reference: {from: yesterday, to: 5}}]",
         "assay.yaml:1: models[0].reference.from: yesterday is not a time, as "
         "2023-11-14T22:13:20Z"},
        {"limits: {models: 1}\nmodels: [{name: a, task: binary}, {name: b, task: binary}]",
         "assay.yaml:2: models: are 2, more than limits.models allows (1)"},
        {"limits: {pending_memory: 4gb}",
         "assay.yaml:1: limits.pending_memory: 4gb is not a size, as 64KiB, 512MiB or 4GiB"},
        {"limits: {pending_memory: 4KiB}",
         "assay.yaml:1: limits.pending_memory: 4KiB is not in 1MiB..1TiB"},
        {"limits: {slices: 1.5}", "assay.yaml:1: limits.slices: 1.5 is not a whole number"},
        {"storage: {retention: {1m: 40d}}",
         "assay.yaml:1: storage.retention: 1h is kept for 35d, shorter than 1m for 40d"},
        {"http: {listen: 8080}",
         "assay.yaml:1: http.listen: 8080 is not address:port, as 127.0.0.1:8080"},
        {"http: {listen: '::1:8080'}",
         "assay.yaml:1: http.listen: ::1:8080 is not address:port; IPv6 is written [::1]:8080"},
        {"http: {listen: '127.0.0.1:99999'}",
         "assay.yaml:1: http.listen: 127.0.0.1:99999 is not address:port, as 127.0.0.1:8080"},
        {"http:\n  insecure: false\n  listen: 0.0.0.0:80",
         "assay.yaml:3: http.listen: is an address that others can reach: give tls and tokens, or "
         "insecure: true"},
        {"http: {insecure: yes}", "assay.yaml:1: http.insecure: yes is not true or false"},
        {"http: {public_url: assay.example}",
         "assay.yaml:1: http.public_url: is not like https://assay.example"},
        {"http: {public_url: 'https://a.example/#x'}",
         "assay.yaml:1: http.public_url: is not like https://assay.example"},
        {"http: {tls: {cert: a}}", "assay.yaml:1: http.tls.key: is missing: its private key, PEM"},
        {"kafka: {topics: [{name: a}]}",
         "assay.yaml:1: kafka.brokers: is missing: `host:port`, with commas between"},
        {"kafka: {brokers: a}", "assay.yaml:1: kafka.topics: is missing: what to consume"},
        {"kafka: {brokers: a, topics: []}", "assay.yaml:1: kafka.topics: names no topic"},
        {"kafka: {brokers: a, topics: [{name: t}, {name: t}]}",
         "assay.yaml:1: kafka.topics[1]: topic t is here a second time"},
        {"kafka: {brokers: a, dead_letter: t, topics: [{name: t}]}",
         "assay.yaml:1: kafka.topics[0]: topic t is dead_letter too: it would feed itself"},
        {"kafka: {brokers: a, topics: [{name: t, format: json}]}",
         "assay.yaml:1: kafka.topics[0].mapping: is missing: format json needs a pointer for each "
         "field, as {id: /req/id}"},
        {"kafka: {brokers: a, topics: [{name: t, format: json, mapping: {id: req.id}}]}",
         "assay.yaml:1: kafka.topics[0].mapping: takes JSON pointers, as /req/id, or fixed texts, "
         "as =prediction"},
        {"kafka:\n  brokers: a\n  properties:\n    a: b\n    isolation.level: read_uncommitted\n  "
         "topics: [{name: t}]",
         "assay.yaml:5: kafka.properties.isolation.level: is set by Assay itself: counting every "
         "event once rests on it"},
        {"alerts: {a: b}", "assay.yaml:1: alerts: has to be a list of {…}"},
        {"route: []", "assay.yaml:1: route: has to be a map"},
        {"- a", "assay.yaml:1: has to be a map of keys"},
        {"a: 1\nb: 2\na: 3\n", "assay.yaml:3: a is here a second time, first in line 1"},
        {"a: 1\n---\nb: 2\n", "assay.yaml:2: a second document; one file is one document"},
        {"models:\n\t- {name: a}\n",
         "assay.yaml:2: not YAML: begins with a tab; indent with blanks"},
        {"a: [1\n", "assay.yaml:2: not YAML: did not find expected ',' or ']'"},
        {"b: 1\nstorage: {path: ${DB}}\n",
         "assay.yaml:2: not YAML: did not find expected ',' or '}'; between { } and [ ] a variable "
         "needs quotes: \"${NAME}\""},
        {"a: *nobody\n", "assay.yaml:1: an alias of an anchor that is not there (yet)"},
        {"a: &x [*x]\n", "assay.yaml:1: an alias of an anchor that is not there (yet)"},
        {"a: !!binary aGk=\n", "assay.yaml:1: tags other than !!str are not used here"},
        {"[a]: b\n", "assay.yaml:1: a key has to be a text"},
        {"a: \"\\0\"\n", "assay.yaml:1: a text with NUL or with bytes that are not UTF-8"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_refused(rows[i].yaml, rows[i].text);
}

static void what_exactly_once_rests_on_cannot_be_set(void **state)
{
    (void)state;
    static const char *const names[] = {
        "enable.auto.commit",   "enable.auto.offset.store",      "auto.offset.reset",
        "isolation.level",      "partition.assignment.strategy", "group.id",
        "bootstrap.servers",    "metadata.broker.list",          "auto.commit.interval.ms",
        "plugin.library.paths",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char yaml[256], text[256];
        snprintf(yaml, sizeof(yaml),
                 "kafka: {brokers: a, topics: [{name: t}], properties: {%s: x}}", names[i]);
        snprintf(text, sizeof(text),
                 "assay.yaml:1: kafka.properties.%s: is set by Assay itself: counting every event "
                 "once rests on it",
                 names[i]);
        assert_refused(yaml, text);
    }
}

/* A bomb of aliases, a tower of brackets, a flood of anchors, endless text: refused, soon. */
static void hostile_yaml_is_refused_before_it_hurts(void **state)
{
    (void)state;
    struct buf yaml;
    buf_init(&yaml, 8 << 20);
    buf_printf(&yaml, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 30; i++)
        buf_printf(&yaml, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1, i - 1, i - 1, i - 1);
    buf_u8(&yaml, 0);
    assert_refused((char *)yaml.data, "assay.yaml:9: more than 250000 values");

    buf_clear(&yaml);
    buf_printf(&yaml, "a: ");
    for (int i = 0; i < 100000; i++)
        buf_u8(&yaml, '[');
    buf_u8(&yaml, 0);
    assert_refused((char *)yaml.data, "assay.yaml:1: more than 32 levels");

    buf_clear(&yaml);
    for (int i = 0; i < 1100; i++)
        buf_printf(&yaml, "k%d: &a%d x\n", i, i);
    buf_u8(&yaml, 0);
    assert_refused((char *)yaml.data, "assay.yaml:1001: more than 1000 anchors");

    buf_clear(&yaml);
    for (int i = 0; i < (5 << 20); i++)
        buf_u8(&yaml, 'a');
    buf_u8(&yaml, 0);
    assert_refused((char *)yaml.data, "assay.yaml: 5242880 bytes, more than 4 MiB");
    buf_finish(&yaml);

    struct config *config = NULL;
    assert_int_equal(config_parse(&config, "x", "\x00\xff\xfe", 3, NULL), ERR_DATA);
    assert_int_equal(config_parse(&config, "x", "a: \xff", 4, NULL), ERR_DATA);
    assert_null(config);
}

static void a_message_never_carries_control_characters(void **state)
{
    (void)state;
    assert_refused("\"a\\e[31mb\\nc\": 1\n", "assay.yaml:1: a?[31mb?c: unknown key");
}

struct complaints {
    int n;
    char text[4][ERR_TEXT_BYTES];
};

static void note(void *context, const char *complaint)
{
    struct complaints *all = context;
    if (all->n < 4)
        snprintf(all->text[all->n], ERR_TEXT_BYTES, "%s", complaint);
    all->n++;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void secrets_come_from_files_beside_the_configuration(void **state)
{
    (void)state;
    char directory[] = "/tmp/assay-config-XXXXXX", path[128], other[128], text[512];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/assay.yaml", directory);
    snprintf(other, sizeof(other), "%s/pw", directory);
    write_file(other, "hunter2\n");
    write_file(path, "kafka: {brokers: a, topics: [{name: t}],\n"
                     "  properties: {sasl.password_file: pw}}\n"
                     "receivers: [{name: r, secret_file: pw}]\n"
                     "storage: {path: a.db}\n");

    AUTO(config) struct config *c = NULL;
    struct err err = {0};
    assert_int_equal(config_read(&c, path, &err), 0);
    assert_string_equal(c->kafka.properties[0].key, "sasl.password");
    assert_string_equal(c->kafka.properties[0].value, "hunter2");
    snprintf(text, sizeof(text), "[{\"name\":\"r\",\"secret_file\":\"%s/pw\"}]", directory);
    assert_string_equal(c->receivers.json, text);
    snprintf(text, sizeof(text), "%s/a.db", directory);
    assert_string_equal(c->storage_path, text);

    write_file(path, "receivers: [{secret_file: gone}]\nmodels: [{name: m}]\n");
    struct complaints all = {0};
    assert_int_equal(config_check(path, note, &all, &err), ERR_DATA);
    assert_int_equal(all.n, 2);
    snprintf(text, sizeof(text),
             "%s:2: models[0].task: is missing: what it predicts; decides which metrics there are",
             path);
    assert_string_equal(all.text[0], text);
    assert_string_equal(err.text, text);
    snprintf(text, sizeof(text),
             "%s:1: receivers[0].secret_file: cannot read %s/gone: No such file or directory", path,
             directory);
    assert_string_equal(all.text[1], text);

    unlink(path);
    unlink(other);
    assert_true(config_read(&c, path, &err) < 0);
    snprintf(text, sizeof(text), "cannot read %s: No such file or directory", path);
    assert_string_equal(err.text, text);
    rmdir(directory);
}

static void the_example_at_the_top_is_good(void **state)
{
    (void)state;
    const char *source = getenv("ASSAY_SOURCE");
    char path[512];
    snprintf(path, sizeof(path), "%s/assay.yaml", source ? source : ".");
    AUTO(config) struct config *c = NULL;
    struct err err = {0};
    if (config_read(&c, path, &err))
        fail_msg("%s", err.text);
    assert_int_equal(c->n_models, 1);
    assert_int_equal(c->kafka.n_topics, 2);
    assert_int_equal(c->alerts.n_items, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_gives_the_defaults),
        cmocka_unit_test(every_key_reaches_its_struct),
        cmocka_unit_test(parts_become_json_with_their_lines),
        cmocka_unit_test(a_text_takes_environment_variables),
        cmocka_unit_test(anchors_are_copies),
        cmocka_unit_test(what_is_wrong_is_told_with_file_line_and_key),
        cmocka_unit_test(what_exactly_once_rests_on_cannot_be_set),
        cmocka_unit_test(hostile_yaml_is_refused_before_it_hurts),
        cmocka_unit_test(a_message_never_carries_control_characters),
        cmocka_unit_test(secrets_come_from_files_beside_the_configuration),
        cmocka_unit_test(the_example_at_the_top_is_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
