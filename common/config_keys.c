#include "common/config_keys.h"

#include <math.h>

#include "common/config.h"

#define COUNT(ARRAY) (sizeof(ARRAY) / sizeof((ARRAY)[0]))
#define AT(TYPE, FIELD) .at = offsetof(struct TYPE, FIELD)
#define ARRAY_AT(TYPE, FIELD) \
    .at = offsetof(struct TYPE, FIELD), .count = offsetof(struct TYPE, n_##FIELD)
#define SECOND 1e3
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define MIB 1048576.0
#define WORDS(...)        \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }

#define TASKS WORDS("binary", "multiclass", "regression", "ranking", "segmentation")

/* clang-format off */
static const struct key feature_keys[] = {
    {"name", KEY_NAME, AT(config_feature, name), .help = "the feature, as the events name it"},
    {"type", KEY_CHOICE, AT(config_feature, type), .fallback = "auto",
     .words = WORDS("auto", "numeric", "categorical", "embedding"),
     .help = "what its values have to be; `auto` takes what comes"},
    {"min", KEY_NUMBER, AT(config_feature, min), .min = -HUGE_VAL, .max = HUGE_VAL,
     .help = "smaller numbers are invalid (reason `range`)"},
    {"max", KEY_NUMBER, AT(config_feature, max), .min = -HUGE_VAL, .max = HUGE_VAL,
     .help = "larger numbers are invalid (reason `range`)"},
    {"required", KEY_BOOL, AT(config_feature, required), .fallback = "false",
     .help = "a prediction without it is counted (reason `required`)"},
    {"values", KEY_CLASSES, ARRAY_AT(config_feature, values),
     .help = "the categories that are allowed; others are invalid (reason `category`)"},
};
static const struct key_section feature = {
    feature_keys, COUNT(feature_keys), sizeof(struct config_feature), NO_LINE, CHECK_FEATURE};

static const struct key metric_keys[] = {
    {"name", KEY_NAME, AT(config_metric, name), .required = true, .help = "its name in every answer"},
    {"outcome", KEY_NAME, AT(config_metric, outcome), .help = "name of the outcome events it counts; or"},
    {"expr", KEY_TEXT, AT(config_metric, expr), .help = "formula over metric names: `100*tp - 20*fp`"},
    {"per", KEY_WORD, AT(config_metric, per), .words = WORDS("prediction", "unit"), .fallback = "prediction",
     .help = "what an outcome is divided by"},
    {"agg", KEY_WORD, AT(config_metric, agg), .words = WORDS("rate", "sum", "mean"), .fallback = "rate",
     .help = "share with the outcome, sum of its values, or their mean"},
};
static const struct key_section metric = {
    metric_keys, COUNT(metric_keys), sizeof(struct config_metric), offsetof(struct config_metric, line),
    CHECK_METRIC};

static const struct key reference_keys[] = {
    {"file", KEY_PATH, AT(config_reference, file), .help = "JSONL of prediction and label events, `.gz` too; or"},
    {"from", KEY_TIME, AT(config_reference, from_ms), .help = "a span of the model's own past: its start and"},
    {"to", KEY_TIME, AT(config_reference, to_ms), .help = "its end; or"},
    {"version", KEY_NAME, AT(config_reference, version), .help = "what another version of the model sees; or"},
    {"trailing", KEY_DURATION, AT(config_reference, trailing_ms), .min = HOUR, .max = 400 * DAY,
     .help = "the time just before the first window asked for; with `rhythm`, before each window"},
    {"rhythm", KEY_WORD, AT(config_reference, rhythm), .fallback = "none", .words = WORDS("none", "day", "week"),
     .help = "of `trailing`: only the window's own hours of the day or of the week, in the model's `timezone`, whose "
             "clock has to move by whole hours (`Australia/Lord_Howe` moves by half a one)"},
};
static const struct key_section reference = {
    reference_keys, COUNT(reference_keys), sizeof(struct config_reference), NO_LINE, CHECK_REFERENCE};

static const struct key drift_keys[] = {
    {"method", KEY_WORD, AT(config_drift, method), .fallback = "auto",
     .words = WORDS("auto", "evidently", "ks", "psi", "js_distance", "wasserstein_norm", "hellinger", "chi2",
                    "l_infinity"),
     .help = "the statistic that decides"},
    {"false_alarm_rate", KEY_NUMBER, AT(config_drift, false_alarm_rate), .min = 1e-9, .max = 0.5,
     .fallback = "0.01", .help = "share of windows without drift that may be called drifted"},
    {"min_effect", KEY_NUMBER, AT(config_drift, min_effect), .min = 0, .max = HUGE_VAL, .fallback = "0.05",
     .help = "smaller differences are no drift, however certain; in the method's unit"},
};
static const struct key_section drift = {
    drift_keys, COUNT(drift_keys), sizeof(struct config_drift), NO_LINE, CHECK_NOTHING};

static const struct key changes_keys[] = {
    {"expected_run_time", KEY_INT, AT(config_changes, expected_run_time), .min = 1000, .max = 1e9, .required = true,
     .help = "events of one stream between two false alarms"},
    {"metrics", KEY_TEXTS, ARRAY_AT(config_changes, metrics),
     .help = "what to watch: `error_rate`, `positive_rate`, `accuracy`, `mae` or the model's own of outcomes (these are the default), `outcome_rate{name=\"x\"}`, `outcome_mean{name=\"x\"}`, `bias`, `brier`, `prediction_mean`, `latency_mean`"},
    {"segments", KEY_TEXTS, ARRAY_AT(config_changes, segments),
     .help = "keys among `segments` in whose slices these metrics are watched, too"},
    {"segment_features", KEY_TEXTS, ARRAY_AT(config_changes, segment_features),
     .help = "features, `@score` or `@prediction` that are watched in these slices, too, each against what its stream learned; at most 20"},
    {"features", KEY_BOOL, AT(config_changes, features), .fallback = "true",
     .help = "watch the features that the reference has, `@score` and `@prediction`"},
};
static const struct key_section changes = {
    changes_keys, COUNT(changes_keys), sizeof(struct config_changes), NO_LINE, CHECK_NOTHING};

static const struct key model_keys[] = {
    {"name", KEY_NAME, AT(config_model, name), .required = true, .help = "as the events name it"},
    {"task", KEY_WORD, AT(config_model, task), .words = TASKS, .required = true,
     .help = "what it predicts; decides which metrics there are"},
    {"positive", KEY_CLASS, AT(config_model, positive), .fallback = "1", .help = "binary: the positive class"},
    {"threshold", KEY_NUMBER, AT(config_model, threshold), .min = 0, .max = 1, .fallback = "0.5",
     .help = "binary: a score from here on is positive where an event has no `prediction`"},
    {"label_horizon", KEY_DURATION, AT(config_model, label_horizon_ms), .min = SECOND, .max = 400 * DAY,
     .fallback = "7d", .help = "how long a prediction waits for its label"},
    {"window", KEY_DURATION, AT(config_model, window_ms), .min = MINUTE, .max = MINUTE, .fallback = "1m",
     .help = "the smallest window that is kept"},
    {"timezone", KEY_NAME, AT(config_model, timezone), .fallback = "UTC",
     .help = "whose clock `relative_to: 1d` and `7d` of alert rules go by, as `Europe/Berlin`"},
    {"features", KEY_NAMED, ARRAY_AT(config_model, features), .section = &feature,
     .help = "what is known of its features; others are taken as they come"},
    {"segments", KEY_TEXTS, ARRAY_AT(config_model, segments),
     .help = "keys of `segment` (or features) whose values get series of their own"},
    {"metrics", KEY_LIST, ARRAY_AT(config_model, metrics), .section = &metric,
     .help = "metrics beside the built-in ones"},
    {"reference", KEY_MAP, AT(config_model, reference), .section = &reference,
     .help = "what drift is measured against"},
    {"drift", KEY_MAP, AT(config_model, drift), .section = &drift, .help = "how drift is decided"},
    {"changes", KEY_MAP, AT(config_model, changes), .section = &changes,
     .help = "changes that are looked for after every event; without it none are"},
};
static const struct key_section model = {
    model_keys, COUNT(model_keys), sizeof(struct config_model), offsetof(struct config_model, line), CHECK_MODEL};

static const struct key auto_models_keys[] = {
    {"task", KEY_WORD, AT(config_auto_models, task), .words = TASKS, .required = true,
     .help = "task of models that no key names; without `auto_models` they are refused"},
    {"max", KEY_INT, AT(config_auto_models, max), .min = 1, .max = 100000, .fallback = "100",
     .help = "how many are admitted"},
    {"label_horizon", KEY_DURATION, AT(config_auto_models, label_horizon_ms), .min = SECOND, .max = 400 * DAY,
     .fallback = "7d", .help = "how long their predictions wait for labels"},
};
static const struct key_section auto_models = {
    auto_models_keys, COUNT(auto_models_keys), sizeof(struct config_auto_models), NO_LINE, CHECK_NOTHING};

static const struct key topic_keys[] = {
    {"name", KEY_NAME, AT(config_topic, name), .required = true, .help = "the topic"},
    {"format", KEY_WORD, AT(config_topic, format), .fallback = "assay",
     .words = WORDS("assay", "kserve", "tfserving", "cloudevents", "json"), .help = "how its messages are read"},
    {"start", KEY_SWITCH, AT(config_topic, start_latest), .words = WORDS("earliest", "latest"),
     .fallback = "earliest", .help = "where to begin the first time; later the database knows"},
    {"on_recreated", KEY_CHOICE, AT(config_topic, on_recreated), .words = WORDS("stop", "earliest"),
     .fallback = "stop", .help = "what to do when the topic was deleted and made anew"},
    {"model", KEY_NAME, AT(config_topic, model), .help = "model of messages whose format names none"},
    {"version", KEY_NAME, AT(config_topic, version), .help = "version of messages whose format names none"},
    {"mapping", KEY_PAIRS, ARRAY_AT(config_topic, mapping),
     .help = "format `json`: field of the event → JSON pointer into the message"},
};
static const struct key_section topic = {
    topic_keys, COUNT(topic_keys), sizeof(struct config_topic), NO_LINE, CHECK_TOPIC};

static const struct key kafka_keys[] = {
    {"brokers", KEY_TEXT, AT(config_kafka, brokers), .required = true, .help = "`host:port`, with commas between"},
    {"group", KEY_NAME, AT(config_kafka, group), .fallback = "assay", .help = "the consumer group"},
    {"properties", KEY_PAIRS, ARRAY_AT(config_kafka, properties),
     .help = "librdkafka properties, passed through, but those that exactly-once rests on; "
             "`NAME_file` reads a value from a file"},
    {"topics", KEY_LIST, ARRAY_AT(config_kafka, topics), .section = &topic, .required = true,
     .help = "what to consume"},
    {"dead_letter", KEY_NAME, AT(config_kafka, dead_letter),
     .help = "topic for events that cannot be taken; without it they go to the database"},
};
static const struct key_section kafka = {
    kafka_keys, COUNT(kafka_keys), sizeof(struct config_kafka), NO_LINE, CHECK_KAFKA};

static const struct key tls_keys[] = {
    {"cert", KEY_PATH, AT(config_http, tls_cert), .required = true, .help = "certificate chain, PEM"},
    {"key", KEY_PATH, AT(config_http, tls_key), .required = true, .help = "its private key, PEM"},
};
/* Fills the same struct as `http`: at is 0 there. */
static const struct key_section tls = {
    tls_keys, COUNT(tls_keys), sizeof(struct config_http), NO_LINE, CHECK_NOTHING};

static const struct key http_limit_keys[] = {
    {"connections", KEY_INT, AT(config_http, max_connections), .min = 1, .max = 100000, .fallback = "200",
     .help = "open connections"},
    {"per_address", KEY_INT, AT(config_http, max_per_address), .min = 1, .max = 100000, .fallback = "50",
     .help = "of them from one address"},
    {"streams_per_token", KEY_INT, AT(config_http, max_streams_per_token), .min = 1, .max = 100000,
     .fallback = "20", .help = "of them that listen to `/stream` with one token"},
    {"rate", KEY_INT, AT(config_http, max_rate), .min = 1, .max = 10000000, .fallback = "1000",
     .help = "requests a second for one token or address"},
};
static const struct key_section http_limits = {
    http_limit_keys, COUNT(http_limit_keys), sizeof(struct config_http), NO_LINE, CHECK_NOTHING};

static const struct key http_keys[] = {
    {"listen", KEY_LISTEN, AT(config_http, address), .count = offsetof(struct config_http, port),
     .fallback = "127.0.0.1:8080", .help = "`address:port`; port 0 takes any free one"},
    {"tls", KEY_MAP, .at = 0, .section = &tls, .help = "serve over TLS"},
    {"tokens", KEY_PATH, AT(config_http, tokens), .help = "file of tokens, one a line; `assay token new` writes them"},
    {"insecure", KEY_BOOL, AT(config_http, insecure), .fallback = "false",
     .help = "allow an address beyond loopback without TLS and tokens"},
    {"hosts", KEY_TEXTS, ARRAY_AT(config_http, hosts),
     .help = "names that requests may ask for besides addresses, `localhost`, the machine's name and those of the certificate"},
    {"public_url", KEY_TEXT, AT(config_http, public_url),
     .help = "where people reach the page, as `https://assay.example`: links in notifications lead there; default: `listen`"},
    {"limits", KEY_MAP, .at = 0, .section = &http_limits, .help = "what one client may take"},
};
static const struct key_section http = {
    http_keys, COUNT(http_keys), sizeof(struct config_http), offsetof(struct config_http, line), CHECK_HTTP};

static const struct key retention_keys[] = {
    {"1m", KEY_DURATION, .at = 0, .min = HOUR, .max = 36500 * DAY, .fallback = "48h",
     .help = "how long windows of a minute are kept"},
    {"1h", KEY_DURATION, .at = sizeof(int64_t), .min = DAY, .max = 36500 * DAY, .fallback = "35d",
     .help = "windows of an hour, and notifications that are settled"},
    {"1d", KEY_DURATION, .at = 2 * sizeof(int64_t), .min = DAY, .max = 36500 * DAY, .fallback = "400d",
     .help = "windows of a day, and the history of alerts"},
};
static const struct key_section retention = {
    retention_keys, COUNT(retention_keys), 3 * sizeof(int64_t), NO_LINE, CHECK_NOTHING};

static const struct key storage_keys[] = {
    {"path", KEY_PATH, AT(config, storage_path), .fallback = "assay.db", .help = "the SQLite database"},
    {"retention", KEY_MAP, AT(config, retention_ms), .section = &retention,
     .help = "how long windows are kept; older ones are merged into the next larger"},
    {"dead_letter_retention", KEY_DURATION, AT(config, dead_letter_retention_ms), .min = MINUTE,
     .max = 36500 * DAY, .fallback = "7d", .help = "how long refused events are kept in the database"},
    {"dead_letter_payload", KEY_CHOICE, AT(config, dead_letter_payload), .words = WORDS("whole", "masked", "none"),
     .help = "what is kept of a refused event: its first 4 KiB; the same with x for each letter and 9 for "
             "each digit; nothing"},
};
static const struct key_section storage = {
    storage_keys, COUNT(storage_keys), sizeof(struct config), NO_LINE, CHECK_STORAGE};

static const struct key scrape_keys[] = {
    {"url", KEY_TEXT, AT(config_scrape, url), .required = true,
     .help = "a Prometheus text endpoint: node exporter, DCGM exporter, TF Serving's, Triton's, any process's"},
    {"model", KEY_NAME, AT(config_scrape, model), .required = true, .help = "whose system values it tells"},
    {"version", KEY_NAME, AT(config_scrape, version), .help = "which version is served there; or"},
    {"version_label", KEY_NAME, AT(config_scrape, version_label),
     .help = "the label that tells the version of each sample; samples without it are left out"},
    {"version_pattern", KEY_TEXT, AT(config_scrape, version_pattern),
     .help = "where in the label's value it stands, as `credit-{version}-*`; default: all of it"},
    {"interval", KEY_DURATION, AT(config_scrape, interval_ms), .min = SECOND, .max = HOUR, .fallback = "15s",
     .help = "time from one scrape to the next"},
    {"timeout", KEY_DURATION, AT(config_scrape, timeout_ms), .min = 100, .max = MINUTE, .fallback = "5s",
     .help = "a scrape that takes longer has failed"},
    {"allow_private", KEY_BOOL, AT(config_scrape, allow_private), .fallback = "false",
     .help = "permits loopback and private addresses"},
    {"token_file", KEY_PATH, AT(config_scrape, token_file), .help = "a bearer token"},
    {"ca_file", KEY_PATH, AT(config_scrape, ca_file), .help = "certificates to trust in place of the system's, PEM"},
    {"values", KEY_PAIRS, ARRAY_AT(config_scrape, values),
     .help = "further system values: name → series, `series{label=\"x\"}` or `rate(series)`"},
};
static const struct key_section scrape = {
    scrape_keys, COUNT(scrape_keys), sizeof(struct config_scrape), offsetof(struct config_scrape, line),
    CHECK_SCRAPE};

static const struct key limit_keys[] = {
    {"models", KEY_INT, AT(config_limits, models), .min = 1, .max = 1000000, .fallback = "1000",
     .help = "models; events of further ones are refused"},
    {"slices", KEY_INT, AT(config_limits, slices), .min = 1, .max = 1000000, .fallback = "100",
     .help = "values of one segment with series of their own; the rest is `__other__`"},
    {"categories", KEY_INT, AT(config_limits, categories), .min = 2, .max = 1000000, .fallback = "1000",
     .help = "categories of one feature that are counted exactly"},
    {"pending_memory", KEY_SIZE, AT(config_limits, pending_memory), .min = MIB, .max = MIB * MIB,
     .fallback = "4GiB", .help = "memory for predictions that wait for labels; beyond it they wait on disk"},
};
static const struct key_section limits = {
    limit_keys, COUNT(limit_keys), sizeof(struct config_limits), NO_LINE, CHECK_NOTHING};

static const struct key place_keys[] = {
    {"header", KEY_TEXT, .help = "a header of the request; or"},
    {"cookie", KEY_TEXT, .help = "a cookie; or"},
    {"pointer", KEY_TEXT, .help = "a JSON pointer into the body"},
};
static const struct key_section gateway_place = {place_keys, COUNT(place_keys), 0, NO_LINE, CHECK_NOTHING};

static const struct key gateway_tls_keys[] = {
    {"cert", KEY_PATH, .required = true, .help = "certificate chain, PEM"},
    {"key", KEY_PATH, .required = true, .help = "private key, PEM"},
};
static const struct key_section gateway_tls = {
    gateway_tls_keys, COUNT(gateway_tls_keys), 0, NO_LINE, CHECK_NOTHING};

/* Checked in web/gateway/settings.c; more of each in docs/gateway.md. */
static const struct key gateway_keys[] = {
    {"listen", KEY_LISTEN, .required = true, .help = "address and port; changes with a restart only"},
    {"tls", KEY_MAP, .section = &gateway_tls, .help = "serves HTTPS"},
    {"ca", KEY_PATH, .help = "the authority that https upstreams are checked against, PEM; default: the system's"},
    {"model", KEY_TEXT, .required = true, .help = "whose versions are served"},
    {"experiment", KEY_TEXT, .help = "which one decides; default: the model's that runs, else the one that ended last"},
    {"upstreams", KEY_PART_MAP, .required = true, .help = "version → address, or `{url, path}`"},
    {"default", KEY_TEXT, .help = "the version that serves while there is no experiment; default: the first upstream"},
    {"unit", KEY_MAP, .section = &gateway_place, .help = "what is assigned; default: the id"},
    {"id", KEY_MAP, .section = &gateway_place, .help = "the event's id; default: header `x-request-id`, else made"},
    {"timeout", KEY_DURATION, .min = 1, .max = 3600000, .fallback = "5s", .help = "of each try, to the whole answer"},
    {"idempotent", KEY_BOOL, .fallback = "false", .help = "a request may be done twice: after a time-out of the treatment, control is asked"},
    {"max_body", KEY_SIZE, .min = 1, .max = 1024 * MIB, .fallback = "8MiB", .help = "of a request; larger ones are refused (413)"},
    {"max_concurrent", KEY_INT, .min = 1, .max = 100000, .fallback = "256", .help = "requests under way to one version"},
    {"connections", KEY_INT, .min = 1, .max = 100000, .fallback = "1000", .help = "of clients"},
    {"threads", KEY_INT, .min = 1, .max = 64, .fallback = "2", .help = "each with its own connections to the upstreams"},
    {"error_status", KEY_INT, .min = 400, .max = 600, .fallback = "400", .help = "an answer from this status on is an error of the version"},
    {"methods", KEY_TEXTS, .help = "of which requests events are made; default: POST"},
    {"topic", KEY_TEXT, .help = "where the events go; default: the first topic of format `assay`"},
    {"event", KEY_PART_MAP, .help = "pointers: `features`, `segment` into the request; `prediction`, `score`, `scores` into the answer; `rows` to a list in the request"},
    {"drain", KEY_DURATION, .min = 1, .max = 600000, .fallback = "10s", .help = "how long requests under way may take after SIGTERM"},
};
const struct key_section config_gateway = {
    gateway_keys, COUNT(gateway_keys), 0, NO_LINE, CHECK_NOTHING};

static const struct key root_keys[] = {
    {"storage", KEY_MAP, .at = 0, .section = &storage, .help = "the database"},
    {"http", KEY_MAP, AT(config, http), .section = &http, .help = "the API and the dashboard"},
    {"kafka", KEY_MAP, AT(config, kafka), .section = &kafka, .help = "where events come from; without it by `POST /events` alone"},
    {"models", KEY_LIST, ARRAY_AT(config, models), .section = &model, .help = "the models that are watched"},
    {"auto_models", KEY_MAP, AT(config, auto_models), .section = &auto_models, .help = "admits models that are not in the list"},
    {"scrape", KEY_LIST, ARRAY_AT(config, scrape), .section = &scrape, .help = "where hosts tell how busy they are"},
    {"alerts", KEY_PART_LIST, AT(config, alerts), .help = "alert rules"},
    {"receivers", KEY_PART_LIST, AT(config, receivers), .help = "where notifications go"},
    {"route", KEY_PART_MAP, AT(config, route), .help = "which alert goes to which receiver"},
    {"experiments", KEY_PART_LIST, AT(config, experiments), .help = "the objects that `POST /api/v1/experiments` takes"},
    {"limits", KEY_MAP, AT(config, limits), .section = &limits, .help = "bounds against hostile or runaway input"},
    {"gateway", KEY_PART_LIST, AT(config, gateway), .section = &config_gateway, .help = "proxies that split traffic between versions"},
    {"actuators", KEY_PART_LIST, AT(config, actuators), .help = "what is told the weights of an experiment"},
    {"sinks", KEY_PART_LIST, AT(config, sinks), .help = "other systems that get the metrics: TensorBoard ([feeds.md](feeds.md))"},
};
const struct key_section config_root = {
    root_keys, COUNT(root_keys), sizeof(struct config), NO_LINE, CHECK_ROOT};
/* clang-format on */

const char *const refused_properties[] = {
    "auto.commit.enable",
    "auto.commit.interval.ms",
    "auto.offset.reset",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "group.id",
    "isolation.level",
    "metadata.broker.list",
    "offset.store.method",
    "partition.assignment.strategy",
    "plugin.library.paths",
    NULL,
};
