/*
 * /metrics: own health from the collector, the server's own, and of each series (model, version)
 * the last complete window of a minute's, as Prometheus wants it: base units, one family together,
 * `# EOF` at the end.
 *
 * A family needs all its samples in one place, so each metric grows in a buf of its own while the
 * walk goes series by series.
 *
 * Source   OpenMetrics 1.0.0 (names, HELP/TYPE/UNIT lines, escaping, EOF)
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "storage/audit.h"
#include "storage/catalog.h"
#include "storage/outbox.h"
#include "storage/series.h"
#include "web/handlers.h"
#include "web/model_metrics.h"
#include "web/prometheus_text.h"

enum {
    MAX_FAMILIES = 768,
    WINDOW_MS = 300000, /* five minutes: what a scrape every 15 to 60 s can still see as smooth */
    STEP_MS = 60000,
};

struct family {
    char name[200];
    char help[300];
    const char *unit; /* "seconds", "ratio", "bytes" or NULL */
    double scale;
    struct buf samples;
};

struct page {
    struct api_context *context;
    struct store *store;
    struct family families[MAX_FAMILIES];
    size_t n;

    /* of the model under way */
    const struct model_row *model;
    struct model_metrics metrics;
    struct family *of_metric[MODEL_METRICS_MAX][3];
    int64_t to_ms;
    const char *version;
};

static void page_free(struct page *page)
{
    if (!page)
        return;
    for (size_t i = 0; i < page->n; i++)
        buf_finish(&page->families[i].samples);
    free(page);
}
DEFINE_FREEP(page)

static void label_text(struct buf *out, const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c == '\\' || *c == '"')
            buf_u8(out, '\\');
        if (*c == '\n')
            buf_bytes(out, "\\n", 2);
        else
            buf_u8(out, (uint8_t)*c);
    }
}

/* The unit's base unit, and what a value is multiplied by to be in it. */
static const char *base_unit(const char *unit, double *scale)
{
    *scale = 1;
    if (!unit)
        return NULL;
    if (strcmp(unit, "ms") == 0) {
        *scale = 0.001;
        return "seconds";
    }
    if (strcmp(unit, "fraction") == 0)
        return "ratio";
    return strcmp(unit, "bytes") == 0 ? "bytes" : NULL;
}

/* What a gauge's name must not end in: those are the samples of counters, histograms and the like. */
static bool is_reserved(const char *name, size_t n)
{
    static const char *const ends[] = {"_total", "_count", "_sum", "_bucket", "_info", "_created"};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        size_t size = strlen(ends[i]);
        if (n >= size && memcmp(name + n - size, ends[i], size) == 0)
            return true;
    }
    return false;
}

/* A metric's name as a family may have it; its bytes. */
static size_t family_name(char *name, size_t capacity, const char *metric)
{
    const bool is_count = strcmp(metric, "count") == 0;
    if (is_count)
        metric = "predictions";
    const bool family = strchr(metric, '{'); /* system{name="x"} is system_name_x */
    size_t n = 0;
    for (const char *c = metric; *c && n < capacity - sizeof("_value"); c++)
        if (isalnum((unsigned char)*c) || !family || (n && name[n - 1] != '_'))
            name[n++] = isalnum((unsigned char)*c) ? *c : '_';
    while (family && n && name[n - 1] == '_')
        n--;
    name[n] = '\0';
    if (is_reserved(name, n) || (!is_count && strcmp(name, "predictions") == 0))
        n += (size_t)snprintf(name + n, capacity - n, "_value");
    return n;
}

/* `end`: "" for the value, "_lower" and "_upper" for the ends of its interval. */
static struct family *family_of(struct page *page, const struct metric_query *metric,
                                const char *end)
{
    struct family made = {.unit = NULL};
    made.unit = base_unit(metric->unit, &made.scale);
    char name[150];
    size_t n = family_name(name, sizeof(name), metric->name);
    size_t u = made.unit ? strlen(made.unit) : 0;
    bool has_unit = u && n > u && name[n - u - 1] == '_' && strcmp(name + n - u, made.unit) == 0;
    /* OpenMetrics wants a family to end in its unit: the end comes before it. */
    size_t stem = has_unit ? n - u - 1 : n;
    snprintf(made.name, sizeof(made.name), "assay_model_%.*s%s%s%s", (int)stem, name, end,
             u ? "_" : "", u ? made.unit : "");
    for (size_t i = 0; i < page->n; i++)
        if (strcmp(page->families[i].name, made.name) == 0)
            return &page->families[i];
    if (page->n == MAX_FAMILIES)
        return NULL;
    const char *help = metric->builtin.def ? metric->builtin.def->help : "A metric of this model.";
    snprintf(made.help, sizeof(made.help), "%s%s", *end ? "95% confidence interval of: " : "",
             help);
    buf_init(&made.samples, 16 * 1024 * 1024);
    page->families[page->n] = made;
    return &page->families[page->n++];
}

static void add_sample(struct page *page, struct family *family, double value)
{
    if (!family || isnan(value) || isinf(value))
        return;
    buf_printf(&family->samples, "%s{model=\"", family->name);
    label_text(&family->samples, page->model->name);
    buf_printf(&family->samples, "\",version=\"");
    label_text(&family->samples, page->version);
    buf_printf(&family->samples, "\"} ");
    json_number(&family->samples, value * family->scale);
    buf_u8(&family->samples, '\n');
}

static int add_samples(void *context, const struct series_point *point, struct err *err)
{
    (void)err;
    struct page *page = context;
    if (!point->states || point->end_ms != page->to_ms)
        return 0;
    for (size_t i = 0; i < page->metrics.n; i++) {
        struct metric_value value;
        metric_evaluate(point->states, &page->metrics.queries[i], WINDOW_MS, &value);
        add_sample(page, page->of_metric[i][0], value.value);
        add_sample(page, page->of_metric[i][1], value.lower);
        add_sample(page, page->of_metric[i][2], value.upper);
    }
    return 0;
}

static int add_version(void *context, const char *version, const char *facts, struct err *err)
{
    (void)facts;
    struct page *page = context;
    struct series_points about;
    struct series_query query = {
        .model = page->model->name,
        .version = version,
        .from_ms = page->to_ms - WINDOW_MS,
        .to_ms = page->to_ms,
        .window_ms = WINDOW_MS,
        .step_ms = STEP_MS,
        .estimates = true,
    };
    page->version = version;
    return series_each(page->store, &query, add_samples, page, &about, err);
}

static int add_model(void *context, const struct model_row *model, struct err *err)
{
    struct page *page = context;
    int64_t complete = -1, labels = -1;
    int task = task_parse(model->task);
    int rc = series_complete(page->store, model->name, &complete, &labels, err);
    if (rc < 0 || task < 0 || complete < WINDOW_MS)
        return rc < 0 ? rc : 0;
    const struct config_model *config =
        page->context->config ? config_model_find(page->context->config, model->name) : NULL;
    rc = model_metrics_open(&page->metrics, (enum task)task, config, NULL, err);
    if (rc)
        return rc;
    static const char *const ends[] = {"", "_lower", "_upper"};
    rc = model_metrics_add_estimates(&page->metrics, (enum task)task, err);
    if (!rc)
        rc = model_metrics_add_system(&page->metrics, page->store, model->name, (enum task)task,
                                      err);
    page->model = model;
    page->to_ms = complete / STEP_MS * STEP_MS;
    for (size_t i = 0; i < page->metrics.n; i++)
        for (int end = 0; end < 3; end++)
            page->of_metric[i][end] = family_of(page, &page->metrics.queries[i], ends[end]);
    if (!rc)
        rc = versions_each(page->store, model->name, add_version, page, err);
    model_metrics_finish(&page->metrics);
    return rc;
}

static void help_text(struct buf *out, const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c == '\\')
            buf_u8(out, '\\');
        buf_u8(out, *c == '\n' ? ' ' : (uint8_t)*c);
    }
}

/* Notifications that wait, by receiver: what a pager that is down leaves behind. */
struct backlog {
    struct buf n, age;
    int64_t now_ms;
};

static int add_backlog(void *context, const struct outbox_backlog *row, struct err *err)
{
    (void)err;
    struct backlog *backlog = context;
    struct buf *both[] = {&backlog->n, &backlog->age};
    const char *names[] = {"assay_notifications_waiting", "assay_notifications_oldest_seconds"};
    int64_t age_ms = backlog->now_ms > row->oldest_ms ? backlog->now_ms - row->oldest_ms : 0;
    const double values[] = {(double)row->n, (double)age_ms / 1e3};
    for (int i = 0; i < 2; i++) {
        buf_printf(both[i], "%s{receiver=\"", names[i]);
        label_text(both[i], row->receiver);
        buf_printf(both[i], "\"} ");
        json_number(both[i], values[i]);
        buf_u8(both[i], '\n');
    }
    return 0;
}

static int write_backlog(struct page *page, struct buf *out, struct err *err)
{
    struct backlog backlog = {.now_ms = clock_wall_ms(page->context->clock)};
    buf_init(&backlog.n, 1024 * 1024);
    buf_init(&backlog.age, 1024 * 1024);
    int rc = outbox_backlog(page->store, add_backlog, &backlog, err);
    if (!rc && backlog.n.size) {
        buf_printf(out, "# TYPE assay_notifications_waiting gauge\n"
                        "# HELP assay_notifications_waiting Notifications not delivered yet.\n");
        buf_bytes(out, backlog.n.data, backlog.n.size);
        buf_printf(out, "# TYPE assay_notifications_oldest_seconds gauge\n"
                        "# UNIT assay_notifications_oldest_seconds seconds\n"
                        "# HELP assay_notifications_oldest_seconds Age of the oldest of them.\n");
        buf_bytes(out, backlog.age.data, backlog.age.size);
    }
    buf_finish(&backlog.n);
    buf_finish(&backlog.age);
    return rc;
}

/* Kept elsewhere, it proves a tail that was cut off. */
static int write_audit_head(struct page *page, struct buf *out, struct err *err)
{
    int64_t seq;
    char hash[2 * AUDIT_HASH_BYTES + 1];
    int rc = audit_head_text(page->store, &seq, hash, err);
    if (rc || seq == 0)
        return rc;
    buf_printf(out,
               "# TYPE assay_audit_rows gauge\n"
               "# HELP assay_audit_rows Number of the audit log's last row.\n"
               "assay_audit_rows %" PRId64 "\n"
               "# TYPE assay_audit_head info\n"
               "# HELP assay_audit_head Hash of that row, which covers all before it.\n"
               "assay_audit_head_info{hash=\"%s\"} 1\n",
               seq, hash);
    return 0;
}

static void write_families(struct page *page, struct buf *out)
{
    for (size_t i = 0; i < page->n; i++) {
        struct family *family = &page->families[i];
        out->failed |= family->samples.failed;
        if (family->samples.size == 0)
            continue;
        buf_printf(out, "# TYPE %s gauge\n", family->name);
        if (family->unit)
            buf_printf(out, "# UNIT %s %s\n", family->name, family->unit);
        buf_printf(out, "# HELP %s ", family->name);
        help_text(out, family->help);
        buf_printf(out, " Last complete %d minutes.\n", WINDOW_MS / 60000);
        buf_bytes(out, family->samples.data, family->samples.size);
    }
}

int openmetrics(struct api_context *context, const struct api_input *input,
                struct api_answer *answer, struct err *err)
{
    struct buf *out = &answer->body;
    answer->content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    if (context->commands.own_metrics)
        context->commands.own_metrics(context->commands.context, out);
    if (context->web_metrics)
        context->web_metrics(context->web, out);
    AUTO(page) struct page *page = calloc(1, sizeof(*page));
    if (!page)
        return err_set(err, -ENOMEM, "no memory for /metrics");
    page->context = context;
    int rc = context_store(context, &page->store, err);
    if (rc == 0)
        rc = write_backlog(page, out, err);
    if (rc == 0)
        rc = write_audit_head(page, out, err);
    if (rc == 0)
        rc = models_each(page->store, add_model, page, err);
    if (rc)
        return rc;
    write_families(page, out);
    buf_bytes(out, "# EOF\n", 6);
    if (!input->request->prometheus)
        return 0;
    answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
    return prometheus_text(out, err);
}
