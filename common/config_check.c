/*
 * What the keys of one map of assay.yaml have to say about each other.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/config_read.h"
#include "common/http_out.h"
#include "common/text.h"
#include "common/timezone.h"

#define DAY_MS INT64_C(86400000)

/* The line of a key in the map, or the map's own. */
static int line_of(const struct yaml_node *node, const char *key)
{
    const struct yaml_node *member = yaml_member(node, key);
    return member ? member->key_line : node->line;
}

static void complain_key(struct config_reader *r, const struct yaml_node *node,
                         const struct place *place, const char *key, const char *what)
{
    const struct place at = {place, key, 0};
    config_complain(r, line_of(node, key), &at, "%s", what);
}

static void check_storage(struct config_reader *r, const struct yaml_node *node,
                          const struct place *place, const struct config *config)
{
    static const char *const names[] = {"1m", "1h", "1d"};
    const struct yaml_node *retention = yaml_member(node, "retention");
    const struct place at = {place, "retention", 0};
    for (int i = 1; retention && i < 3; i++) {
        char shorter[TEXT_DURATION_BYTES], longer[TEXT_DURATION_BYTES];
        if (config->retention_ms[i] < config->retention_ms[i - 1])
            config_complain(r, line_of(retention, names[i]), &at,
                            "%s is kept for %s, shorter than %s for %s", names[i],
                            duration_print(shorter, config->retention_ms[i]), names[i - 1],
                            duration_print(longer, config->retention_ms[i - 1]));
    }
}

static bool is_loopback(const char *address)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, address, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    if (inet_pton(AF_INET6, address, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6);
    return strcmp(address, "localhost") == 0;
}

static void check_http(struct config_reader *r, const struct yaml_node *node,
                       const struct place *place, const struct config_http *http)
{
    const char *url = http->public_url;
    if (url && ((strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0) ||
                url[strcspn(url, " \"<>#?")] != '\0'))
        complain_key(r, node, place, "public_url", "is not like https://assay.example");
    if (!http->address || is_loopback(http->address) || http->insecure ||
        (http->tls_cert && http->tls_key && http->tokens))
        return;
    complain_key(r, node, place, "listen",
                 "is an address that others can reach: give tls and tokens, or insecure: true");
}

static bool is_refused(const char *property)
{
    for (const char *const *name = refused_properties; *name; name++)
        if (strcmp(*name, property) == 0)
            return true;
    return false;
}

static void check_properties(struct config_reader *r, const struct yaml_node *node,
                             const struct place *place, const struct config_kafka *kafka)
{
    const struct yaml_node *properties = yaml_member(node, "properties");
    const struct place at = {place, "properties", 0};
    for (size_t i = 0; properties && i < kafka->n_properties; i++)
        if (is_refused(kafka->properties[i].key))
            complain_key(r, properties, &at, kafka->properties[i].key,
                         "is set by Assay itself: counting every event once rests on it");
}

static void check_kafka(struct config_reader *r, const struct yaml_node *node,
                        const struct place *place, const struct config_kafka *kafka)
{
    const struct yaml_node *topics = yaml_member(node, "topics");
    const struct place at = {place, "topics", 0};
    check_properties(r, node, place, kafka);
    if (!topics || topics->kind != YAML_LIST || kafka->n_topics != topics->n_children)
        return;
    if (kafka->n_topics == 0)
        complain_key(r, node, place, "topics", "names no topic");
    for (size_t i = 0; i < kafka->n_topics; i++) {
        const char *name = kafka->topics[i].name;
        const struct place item = {&at, NULL, i};
        for (size_t j = 0; name && j < i; j++)
            if (kafka->topics[j].name && strcmp(kafka->topics[j].name, name) == 0)
                config_complain(r, topics->children[i].line, &item,
                                "topic %.100s is here a second time", name);
        if (name && kafka->dead_letter && strcmp(name, kafka->dead_letter) == 0)
            config_complain(r, topics->children[i].line, &item,
                            "topic %.100s is dead_letter too: it would feed itself", name);
    }
}

static void check_topic(struct config_reader *r, const struct yaml_node *node,
                        const struct place *place, const struct config_topic *topic)
{
    if (!topic->format)
        return;
    bool json = strcmp(topic->format, "json") == 0;
    if (json && topic->n_mapping == 0)
        complain_key(r, node, place, "mapping",
                     "is missing: format json needs a pointer for each field, as {id: /req/id}");
    for (size_t i = 0; i < topic->n_mapping; i++)
        if (topic->mapping[i].value[0] != '/' && topic->mapping[i].value[0] != '=')
            complain_key(r, node, place, "mapping",
                         "takes JSON pointers, as /req/id, or fixed texts, as =prediction");
}

/* `outcome_rate{name="x"}`, where `head` is what stands before the x. */
static bool is_of_outcome(const char *name, const char *head)
{
    size_t n = strlen(name), n_head = strlen(head);
    return strncmp(name, head, n_head) == 0 && n > n_head + 2 && strcmp(name + n - 2, "\"}") == 0;
}

/* What one event can say something of: a zero or a one, or a number. */
static bool is_by_event(const struct config_model *model, const char *name)
{
    static const struct {
        const char *name, *tasks; /* NULL: every */
    } known[] = {
        {"error_rate", NULL},
        {"positive_rate", "binary"},
        {"accuracy", "binary multiclass"},
        {"mae", "regression"},
        {"bias", "regression"},
        {"brier", "binary"},
        {"prediction_mean", "binary regression"},
        {"latency_mean", NULL},
    };
    for (size_t i = 0; i < model->n_metrics; i++) {
        const struct config_metric *metric = &model->metrics[i];
        if (metric->name && strcmp(metric->name, name) == 0)
            return metric->outcome && strcmp(metric->agg, "sum") != 0 &&
                   strcmp(metric->per, "prediction") == 0;
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(known[i].name, name) == 0)
            return !known[i].tasks || (model->task && strstr(known[i].tasks, model->task));
    return is_of_outcome(name, "outcome_rate{name=\"") ||
           is_of_outcome(name, "outcome_mean{name=\"");
}

static bool has_segment(const struct config_model *model, const char *key)
{
    for (size_t i = 0; i < model->n_segments; i++)
        if (model->segments[i] && strcmp(model->segments[i], key) == 0)
            return true;
    return false;
}

enum {
    MAX_SEGMENT_FEATURES = 20 /* each is a stream a slice and version */
};

static void check_changes(struct config_reader *r, const struct yaml_node *node,
                          const struct place *place, const struct config_model *model)
{
    const struct yaml_node *const given = yaml_member(node, "changes");
    const struct place at = {place, "changes", 0}, metrics = {&at, "metrics", 0},
                       segments = {&at, "segments", 0}, features = {&at, "segment_features", 0};
    const struct config_changes *changes = &model->changes;
    for (size_t i = 0; i < changes->n_metrics; i++)
        if (changes->metrics[i] && !is_by_event(model, changes->metrics[i]))
            config_complain(
                r, line_of(given, "metrics"), &metrics,
                "\"%.100s\" says nothing of one event of the model: error_rate, positive_rate and "
                "brier (binary), accuracy (binary, multiclass), mae and bias (regression), "
                "prediction_mean (binary, regression), latency_mean, outcome_rate{name=\"x\"}, "
                "outcome_mean{name=\"x\"} or its own rates and means of outcomes",
                changes->metrics[i]);
    for (size_t i = 0; i < changes->n_segments; i++)
        if (changes->segments[i] && !has_segment(model, changes->segments[i]))
            config_complain(r, line_of(given, "segments"), &segments,
                            "\"%.100s\" is none of the model's segments", changes->segments[i]);
    if (changes->n_segment_features > MAX_SEGMENT_FEATURES)
        config_complain(r, line_of(given, "segment_features"), &features,
                        "%zu features in each slice, at most %d are watched",
                        changes->n_segment_features, MAX_SEGMENT_FEATURES);
    if (changes->n_segment_features && changes->n_segments == 0)
        config_complain(r, line_of(given, "segment_features"), &features,
                        "needs `segments`: the keys in whose slices they are watched");
}

static void check_model(struct config_reader *r, const struct yaml_node *node,
                        const struct place *place, const struct config_model *model)
{
    const struct yaml_node *metrics = yaml_member(node, "metrics");
    const struct place at = {place, "metrics", 0};
    for (size_t i = 0; metrics && i < model->n_metrics; i++)
        for (size_t j = 0; j < i; j++)
            if (model->metrics[i].name && model->metrics[j].name &&
                strcmp(model->metrics[i].name, model->metrics[j].name) == 0) {
                const struct place item = {&at, NULL, i};
                config_complain(r, model->metrics[i].line, &item,
                                "metric %.100s is here a second time", model->metrics[i].name);
            }
    check_changes(r, node, place, model);
    __attribute__((cleanup(timezone_freep))) struct timezone_rules *zone = NULL;
    struct err why = {0};
    if (model->timezone && !r->stored && timezone_read(&zone, model->timezone, &why))
        complain_key(r, node, place, "timezone", why.text);
}

static void check_feature(struct config_reader *r, const struct yaml_node *node,
                          const struct place *place, struct config_feature *feature)
{
    bool bounded = !isnan(feature->min) || !isnan(feature->max);
    static const char *const own[] = {"@score", "@prediction", "@label"};
    for (size_t i = 0; feature->name && i < sizeof(own) / sizeof(own[0]); i++)
        if (strcmp(feature->name, own[i]) == 0)
            config_complain(r, node->line, place,
                            "is what the model makes or its label, no feature of its events");
    if (feature->type == FEATURE_AUTO && bounded)
        feature->type = FEATURE_NUMERIC;
    if (feature->type == FEATURE_AUTO && feature->n_values)
        feature->type = FEATURE_CATEGORICAL;
    if (feature->min > feature->max)
        complain_key(r, node, place, "min", "is larger than max");
    if (bounded && feature->type != FEATURE_NUMERIC)
        complain_key(r, node, place, isnan(feature->min) ? "max" : "min",
                     "is for numeric features only");
    if (feature->n_values && feature->type != FEATURE_CATEGORICAL)
        complain_key(r, node, place, "values", "is for categorical features only");
}

static void check_metric(struct config_reader *r, const struct yaml_node *node,
                         const struct place *place, const struct config_metric *metric)
{
    if (!metric->outcome == !metric->expr)
        config_complain(r, node->line, place, "needs either outcome or expr");
}

static void check_reference(struct config_reader *r, const struct yaml_node *node,
                            const struct place *place, const struct config_reference *reference)
{
    bool from = yaml_member(node, "from"), to = yaml_member(node, "to");
    int n = !!reference->file + (from || to) + !!reference->version + !!reference->trailing_ms;
    if (n != 1)
        config_complain(r, node->line, place,
                        "needs one of file, from with to, version or trailing");
    else if (from != to)
        complain_key(r, node, place, from ? "to" : "from", "is missing");
    else if (from && reference->from_ms >= reference->to_ms)
        complain_key(r, node, place, "to", "has to be after from");
    bool week = reference->rhythm && strcmp(reference->rhythm, "week") == 0;
    bool day = reference->rhythm && strcmp(reference->rhythm, "day") == 0;
    if ((week || day) && reference->trailing_ms < (week ? 7 : 1) * DAY_MS)
        complain_key(r, node, place, "rhythm",
                     week ? "week needs `trailing` of at least 7d"
                          : "day needs `trailing` of at least 1d");
}

/* A rhythm is made of hours: they have to be there still. */
static void check_rhythms(struct config_reader *r, const struct config *config)
{
    const struct place models = {NULL, "models", 0};
    for (size_t i = 0; i < config->n_models; i++) {
        const struct config_reference *reference = &config->models[i].reference;
        bool rhythm = reference->rhythm && strcmp(reference->rhythm, "none") != 0;
        const struct place item = {&models, NULL, i};
        if (rhythm && reference->trailing_ms > config->retention_ms[1])
            config_complain(
                r, config->models[i].line, &item,
                "reference.rhythm needs the hours of all of `trailing`, which is longer "
                "than storage.retention keeps 1h");
    }
}

static int by_name(const void *a, const void *b)
{
    const struct config_model *const *x = a, *const *y = b;
    int order = strcmp((*x)->name, (*y)->name);
    return order ? order : (*x > *y) - (*x < *y);
}

static void check_root(struct config_reader *r, const struct yaml_node *node,
                       const struct config *config)
{
    const struct place models = {NULL, "models", 0};
    if ((double)config->n_models > (double)config->limits.models)
        config_complain(r, line_of(node, "models"), &models,
                        "are %zu, more than limits.models allows (%" PRId64 ")", config->n_models,
                        config->limits.models);
    check_rhythms(r, config);
    const struct config_model **sorted =
        arena_take_array(r->arena, config->n_models, sizeof(void *));
    size_t n = 0;
    for (size_t i = 0; sorted && i < config->n_models; i++)
        if (config->models[i].name)
            sorted[n++] = &config->models[i];
    if (n > 1)
        qsort(sorted, n, sizeof(void *), by_name);
    for (size_t i = 1; i < n; i++) {
        const struct place item = {&models, NULL, (size_t)(sorted[i] - config->models)};
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
            config_complain(r, sorted[i]->line, &item,
                            "model %.100s is here a second time, first in line %d", sorted[i]->name,
                            sorted[i - 1]->line);
    }
}

static void check_scrape(struct config_reader *r, const struct yaml_node *node,
                         const struct place *place, const struct config_scrape *scrape)
{
    const char *problem = scrape->url ? http_url_problem(scrape->url) : NULL;
    if (problem)
        complain_key(r, node, place, "url", problem);
    if (!scrape->version == !scrape->version_label)
        complain_key(r, node, place, scrape->version ? "version" : "version_label",
                     "give one of version and version_label");
    const char *pattern = scrape->version_pattern;
    const char *hole = pattern ? strstr(pattern, "{version}") : NULL;
    if (pattern && !scrape->version_label)
        complain_key(r, node, place, "version_pattern", "needs version_label");
    if (pattern && (!hole || strstr(hole + 1, "{version}")))
        complain_key(r, node, place, "version_pattern", "must hold {version} once");
}

void config_section_check(struct config_reader *r, const struct key_section *section,
                          const struct yaml_node *node, const struct place *place, void *base)
{
    switch (section->check) {
    case CHECK_NOTHING:
        break;
    case CHECK_STORAGE:
        check_storage(r, node, place, base);
        break;
    case CHECK_HTTP:
        check_http(r, node, place, base);
        break;
    case CHECK_KAFKA:
        check_kafka(r, node, place, base);
        break;
    case CHECK_TOPIC:
        check_topic(r, node, place, base);
        break;
    case CHECK_MODEL:
        check_model(r, node, place, base);
        break;
    case CHECK_FEATURE:
        check_feature(r, node, place, base);
        break;
    case CHECK_METRIC:
        check_metric(r, node, place, base);
        break;
    case CHECK_REFERENCE:
        check_reference(r, node, place, base);
        break;
    case CHECK_SCRAPE:
        check_scrape(r, node, place, base);
        break;
    case CHECK_ROOT:
        check_root(r, node, base);
        break;
    }
}
