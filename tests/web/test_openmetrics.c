/*
 * /metrics against a small checker of the exposition's grammar, and by value.
 *
 * Source   OpenMetrics 1.0.0: one block a family (TYPE, UNIT, HELP, samples), a unit is the name's
 *          ending, counters end in _total, `# EOF` is the last line
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/test.h"
#include "tests/web/site.h"
#include "web/api.h"

struct exposition {
    char families[300][200];
    int n;
    char type[32];
    bool ended;
};

static bool is_name(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isalpha((unsigned char)text[i]) && text[i] != '_' && text[i] != ':' &&
            !(i && isdigit((unsigned char)text[i])))
            return false;
    return n > 0;
}

static const char *check_labels(const char *at)
{
    if (*at != '{')
        return at;
    do {
        at++;
        size_t n = strcspn(at, "=");
        assert_true(is_name(at, n));
        at += n + 1;
        assert_int_equal(*at++, '"');
        while (*at != '"') {
            assert_true(*at != '\0' && *at != '\n');
            if (*at == '\\') {
                at++;
                assert_true(*at == '\\' || *at == '"' || *at == 'n');
            }
            at++;
        }
        at++;
    } while (*at == ',');
    assert_int_equal(*at, '}');
    return at + 1;
}

static void check_sample(const struct exposition *exposition, const char *line)
{
    size_t n = strcspn(line, "{ ");
    const char *family = exposition->families[exposition->n - 1];
    size_t length = strlen(family);
    assert_true(is_name(line, n));
    assert_memory_equal(line, family, length);
    const char *suffix = strcmp(exposition->type, "counter") == 0 ? "_total" : "";
    assert_int_equal(n, length + strlen(suffix));
    assert_memory_equal(line + length, suffix, strlen(suffix));
    const char *value = check_labels(line + n);
    assert_int_equal(*value, ' ');
    char *end;
    strtod(value + 1, &end);
    assert_true(end > value + 1 && *end == '\0');
}

static void begin_family(struct exposition *exposition, const char *line)
{
    char name[200], type[32];
    assert_int_equal(sscanf(line, "# TYPE %199s %31s", name, type), 2);
    for (int i = 0; i < exposition->n; i++)
        assert_string_not_equal(exposition->families[i], name);
    snprintf(exposition->families[exposition->n++], 200, "%s", name);
    snprintf(exposition->type, sizeof(exposition->type), "%s", type);
    assert_true(strcmp(type, "gauge") == 0 || strcmp(type, "counter") == 0);
}

static void check_line(struct exposition *exposition, const char *line)
{
    char name[200] = "", unit[100] = "";
    assert_false(exposition->ended);
    if (strcmp(line, "# EOF") == 0) {
        exposition->ended = true;
    } else if (strncmp(line, "# TYPE ", 7) == 0) {
        begin_family(exposition, line);
    } else if (strncmp(line, "# UNIT ", 7) == 0) {
        assert_int_equal(sscanf(line, "# UNIT %199s %99s", name, unit), 2);
        assert_string_equal(name, exposition->families[exposition->n - 1]);
        size_t n = strlen(name), u = strlen(unit);
        assert_true(n > u && name[n - u - 1] == '_');
        assert_string_equal(name + n - u, unit);
    } else if (strncmp(line, "# HELP ", 7) == 0) {
        assert_int_equal(sscanf(line, "# HELP %199s", name), 1);
        assert_string_equal(name, exposition->families[exposition->n - 1]);
    } else {
        check_sample(exposition, line);
    }
}

static void check(const char *text)
{
    struct exposition *exposition = calloc(1, sizeof(*exposition));
    AUTO_FREE char *copy = strdup(text);
    assert_true(exposition && copy);
    assert_int_equal(text[strlen(text) - 1], '\n');
    for (char *save, *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        check_line(exposition, line);
    assert_true(exposition->ended);
    free(exposition);
}

static void own_metrics(void *context, struct buf *out)
{
    (void)context;
    buf_printf(out, "# TYPE assay_events counter\n# HELP assay_events Events.\n"
                    "assay_events_total{topic=\"a\"} 3\n");
}

static void each_series_has_its_last_complete_window(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_new();
    const struct minute minutes[] = {
        {"credit", "v3", "", SITE_START, 8, 2, 9, 1, 5, 0},
        {"credit", "v4", "", SITE_START, 1, 0, 0, 0, 0, 0},
        {"a\"b\\c\nd", "v4", "", SITE_START, 1, 0, 1, 0, 0, 0},
    };
    for (size_t i = 0; i < 3; i++)
        site_minute(site, &minutes[i]);
    site->commands.own_metrics = own_metrics;
    site_serve(site);
    struct reply reply;

    site_get(site, "/metrics", "", &reply);

    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_header(&reply, "Content-Type"),
                        "application/openmetrics-text; version=1.0.0; charset=utf-8");
    check(reply.body);
    static const char *const lines[] = {
        "\nassay_events_total{topic=\"a\"} 3\n",
        "\n# UNIT assay_model_accuracy_ratio ratio\n",
        "\nassay_model_accuracy_ratio{model=\"credit\",version=\"v3\"} 0.85\n",
        "\nassay_model_accuracy_ratio{model=\"a\\\"b\\\\c\\nd\",version=\"v4\"} 1\n",
        "\nassay_model_predictions{model=\"credit\",version=\"v3\"} 25\n",
        "\nassay_model_labelled_rate_ratio{model=\"credit\",version=\"v3\"} 0.8\n",
        "\n# UNIT assay_model_latency_p99_seconds seconds\n",
        "\nassay_http_connections 1\n",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        if (!strstr(reply.body, lines[i]))
            fail_msg("no line %s in %s", lines[i], reply.body);
    const char *p99 = strstr(reply.body, "\nassay_model_latency_p99_seconds{model=\"credit\"");
    assert_non_null(p99);
    assert_close(strtod(strchr(p99, '}') + 1, NULL), 0.018, 0.002);
    reply_finish(&reply);
}

static void an_empty_database_has_only_own_health(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_new();
    site_serve(site);
    struct reply reply;

    site_get(site, "/metrics", "", &reply);

    assert_int_equal(reply.status, 200);
    check(reply.body);
    assert_null(strstr(reply.body, "assay_model_"));
    reply_finish(&reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_series_has_its_last_complete_window),
        cmocka_unit_test(an_empty_database_has_only_own_health),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
