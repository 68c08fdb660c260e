/*
 * The reference streams (binary and regression), joined in the simplest way, folded by hour, and
 * every metric of every window and of the whole compared with what scikit-learn answers.
 */
#include <string.h>
#include <xxhash.h>
#include <zlib.h>

#include "stats/metric.h"
#include "tests/reference.h"

enum {
    MOST_EVENTS = 20000,
    MOST_WINDOWS = 64,
    LINE_BYTES = 1 << 16
};

struct joined {
    char id[24];
    struct sample sample;
    bool labelled;
};

struct stream {
    enum task task;
    struct joined events[MOST_EVENTS];
    size_t n;
    size_t by_id[1 << 16]; /* 1 + number of the event; open addressing */
};

static size_t *slot_of(struct stream *stream, const char *id)
{
    size_t place = XXH64(id, strlen(id), 0) % (1 << 16);
    while (stream->by_id[place] && strcmp(stream->events[stream->by_id[place] - 1].id, id) != 0)
        place = (place + 1) % (1 << 16);
    return &stream->by_id[place];
}

/* The entry of an id; a label may come first, and then waits in it. */
static struct joined *entry_of(struct stream *stream, const char *id)
{
    size_t *slot = slot_of(stream, id);
    if (*slot == 0) {
        assert_true(stream->n < MOST_EVENTS);
        struct joined *made = &stream->events[stream->n++];
        const double none = (double)NAN;
        *made = (struct joined){.sample = {.ts_ms = -1,
                                           .latency_ms = none,
                                           .score = none,
                                           .value = none,
                                           .label_value = none}};
        snprintf(made->id, sizeof(made->id), "%s", id);
        *slot = stream->n;
    }
    return &stream->events[*slot - 1];
}

static uint64_t class_of(json_t *value)
{
    char text[32];
    const int n = snprintf(text, sizeof(text), "%lld", (long long)json_number_value(value));
    return class_id(text, (size_t)n);
}

static void take(struct stream *stream, json_t *event)
{
    struct joined *entry = entry_of(stream, json_string_value(json_object_get(event, "id")));
    struct sample *sample = &entry->sample;
    json_t *label = json_object_get(event, "label");
    if (label) { /* the last to arrive wins */
        entry->labelled = true;
        if (stream->task == TASK_BINARY)
            sample->label_class = class_of(label);
        else
            sample->label_value = json_number_value(label);
        return;
    }
    if (sample->ts_ms >= 0)
        return; /* the first prediction wins */
    sample->ts_ms = json_integer_value(json_object_get(event, "ts"));
    sample->latency_ms = json_number_value(json_object_get(event, "latency_ms"));
    if (stream->task == TASK_BINARY) {
        sample->score = json_number_value(json_object_get(event, "score"));
        sample->predicted = class_of(json_object_get(event, "prediction"));
    } else {
        sample->value = json_number_value(json_object_get(event, "prediction"));
    }
}

static struct stream *stream_read(const char *set, enum task task)
{
    char name[256], path[1024];
    snprintf(name, sizeof(name), "monitoring/%s/events.jsonl.gz", set);
    gzFile file = reference_path(path, sizeof(path), name) ? gzopen(path, "rb") : NULL;
    if (!file)
        return NULL;
    struct stream *stream = calloc(1, sizeof(*stream));
    char *line = malloc(LINE_BYTES);
    assert_non_null(stream);
    assert_non_null(line);
    stream->task = task;
    while (gzgets(file, line, LINE_BYTES)) {
        json_t *event = json_loads(line, 0, NULL);
        assert_non_null(event);
        take(stream, event);
        json_decref(event);
    }
    gzclose(file);
    free(line);
    return stream;
}

/* Within 1e-9 where the number is exact, within its own bound where it is sketched, and that one
   within what was promised; quantiles within 1%. */
static void compare(const struct states *states, const char *name, double expected,
                    int64_t window_ms)
{
    struct metric_ref ref;
    struct metric_value value;
    struct err err = {0};
    if (metric_find(&ref, name, states_setup(states)->task, &err))
        fail_msg("%s", err.text);
    metric_result(states, &ref, window_ms, &value);
    const double rounding = 1e-9 * fmax(fabs(expected), 1e-3);
    const double tolerance = fmax(value.error_bound, rounding);
    if (!(fabs(value.value - expected) <= tolerance))
        fail_msg("%s is %.17g, the reference says %.17g (bound %g)", name, value.value, expected,
                 value.error_bound);
    if (strstr(name, "_auc"))
        assert_true(value.error_bound <= 1e-3);
    else
        assert_true(value.error_bound <= 0.01 * fabs(expected));
    if (!isnan(value.lower)) {
        assert_true(value.lower <= value.value + value.error_bound);
        assert_true(value.upper >= value.value - value.error_bound);
    }
}

static bool is_ours(const char *name)
{
    return strcmp(name, "labelled") != 0 && strcmp(name, "ece_15") != 0 &&
           strcmp(name, "ece_equal_mass_10") != 0 && strcmp(name, "dice_positive") != 0 &&
           strcmp(name, "keras") != 0;
}

static int compare_all(const struct states *states, json_t *metrics, int64_t window_ms)
{
    int n = 0;
    const char *name;
    json_t *expected;
    json_object_foreach(metrics, name, expected)
    {
        if (!is_ours(name))
            continue;
        compare(states, name, json_number_value(expected), window_ms);
        n++;
    }
    assert_int_equal(states_labelled(states),
                     json_integer_value(json_object_get(metrics, "labelled")));
    return n;
}

static void check_set(const char *set, enum task task, int n_metrics)
{
    char name[256];
    snprintf(name, sizeof(name), "monitoring/%s/expected.json", set);
    json_t *file = reference_read(name);
    struct stream *stream = stream_read(set, task);
    if (!file || !stream)
        reference_skip(name);
    const struct metric_setup setup = {task, class_id("1", 1), 0.5, NULL};
    const int64_t window_ms = json_integer_value(json_object_get(file, "window_ms"));
    json_t *windows = json_object_get(file, "windows"), *window;
    struct states *total = NULL;
    assert_int_equal(states_new(&total, &setup, NULL), 0);

    size_t i;
    assert_true(json_array_size(windows) >= 10);
    json_array_foreach(windows, i, window)
    {
        const int64_t start = json_integer_value(json_object_get(window, "start"));
        struct states *states = NULL;
        assert_int_equal(states_new(&states, &setup, NULL), 0);
        for (size_t j = 0; j < stream->n; j++) {
            const struct joined *event = &stream->events[j];
            if (event->sample.ts_ms < start || event->sample.ts_ms >= start + window_ms)
                continue;
            assert_int_equal(states_predict(states, &event->sample), 0);
            if (event->labelled)
                assert_int_equal(states_label(states, &event->sample, 1), 0);
        }
        assert_int_equal(compare_all(states, json_object_get(window, "metrics"), window_ms),
                         n_metrics);
        assert_int_equal(states_merge(total, states), 0);
        states_free(states);
    }
    assert_int_equal(compare_all(total, json_object_get(file, "total"), window_ms), n_metrics);
    states_free(total);
    free(stream);
    json_decref(file);
}

static void car_loan_agrees_with_scikit_learn(void **state)
{
    (void)state;
    check_set("car_loan", TASK_BINARY, 30);
}

static void car_price_agrees_with_scikit_learn(void **state)
{
    (void)state;
    check_set("car_price", TASK_REGRESSION, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(car_loan_agrees_with_scikit_learn),
        cmocka_unit_test(car_price_agrees_with_scikit_learn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
