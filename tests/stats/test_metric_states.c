/*
 * What makes replays and many nodes agree: states forget order and splits, and labels that are
 * taken out again leave no trace. Compared are the saved bytes.
 */
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/rng.h"
#include "stats/looked.h"
#include "stats/metric.h"
#include "tests/test.h"

enum {
    N_CLASSES = 5,
    N_PARTS = 4,
    N_ITEMS = 12,
    MANY = 6000
};

struct event {
    struct sample sample;
    struct looked looked; /* of reference 0: not */
    struct class_score scores[N_CLASSES];
    uint64_t items[N_ITEMS];
    struct item_relevance relevances[N_ITEMS];
    struct class_pixels pixels[N_CLASSES];
    bool labelled;
    bool has_outcome;
    struct outcome outcome;
};

static uint64_t id_of(const char *text)
{
    return class_id(text, strlen(text));
}

static struct metric_setup setup_of(enum task task)
{
    return (struct metric_setup){task, id_of("1"), 0.5, NULL};
}

static int by_id(const void *a, const void *b)
{
    const uint64_t x = ((const struct class_score *)a)->class_id;
    const uint64_t y = ((const struct class_score *)b)->class_id;
    return (x > y) - (x < y);
}

static void fill_multiclass(struct rng *rng, struct event *event, uint64_t n_labels)
{
    char name[32];
    double sum = 0;
    for (int i = 0; i < N_CLASSES; i++) {
        snprintf(name, sizeof(name), "class %d", i);
        event->scores[i] = (struct class_score){id_of(name), rng_uniform(rng)};
        sum += event->scores[i].score;
    }
    for (int i = 0; i < N_CLASSES; i++)
        event->scores[i].score /= sum;
    qsort(event->scores, N_CLASSES, sizeof(event->scores[0]), by_id);
    event->sample.scores = event->scores;
    event->sample.n_scores = N_CLASSES;
    snprintf(name, sizeof(name), "class %d", (int)(rng_u64(rng) % n_labels));
    event->sample.label_class = id_of(name);
    if (rng_u64(rng) % 2) {
        snprintf(name, sizeof(name), "class %d", (int)(rng_u64(rng) % n_labels));
        event->sample.predicted = id_of(name);
    }
}

static void fill_ranking(struct rng *rng, struct event *event)
{
    for (uint64_t i = 0; i < N_ITEMS; i++) {
        event->items[i] = 1 + rng_below(rng, 2 * N_ITEMS);
        const double relevance = rng_below(rng, 3) ? 0 : 5 * rng_uniform(rng);
        event->relevances[i] = (struct item_relevance){2 * i + 1 + rng_below(rng, 2), relevance};
    }
    event->sample.items = event->items;
    event->sample.n_items = 1 + (uint32_t)rng_below(rng, N_ITEMS);
    event->sample.relevances = event->relevances;
    event->sample.n_relevances = (uint32_t)rng_below(rng, N_ITEMS + 1);
}

static void fill_segmentation(struct rng *rng, struct event *event)
{
    for (uint64_t i = 0; i < N_CLASSES; i++)
        event->pixels[i] =
            (struct class_pixels){i + 1, floor(1e4 * rng_uniform(rng)),
                                  floor(1e3 * rng_uniform(rng)), floor(1e3 * rng_uniform(rng))};
    event->sample.pixels = event->pixels;
    event->sample.n_pixels = (uint32_t)rng_below(rng, N_CLASSES + 1);
}

static void fill(struct rng *rng, enum task task, struct event *event, uint64_t n_labels)
{
    const double none = (double)NAN;
    *event = (struct event){.sample = {.latency_ms = 100 * rng_uniform(rng) * rng_uniform(rng),
                                       .score = none,
                                       .value = none,
                                       .label_value = none,
                                       .failed = rng_u64(rng) % 50 == 0}};
    event->labelled = rng_u64(rng) % 10 != 0;
    event->has_outcome = rng_u64(rng) % 4 == 0;
    event->outcome = (struct outcome){id_of(rng_u64(rng) % 2 ? "click" : "revenue"),
                                      (double)(rng_u64(rng) % 1000) / 7};
    if (rng_u64(rng) % 3) { /* seven references: more than a state keeps apart */
        event->looked = (struct looked){.reference = 1 + rng_u64(rng) % 7};
        event->looked.domain = event->looked.reference;
        multivariate_update(&event->looked.errors, 3 * rng_uniform(rng), 1);
    }
    if (task == TASK_REGRESSION && rng_u64(rng) % 5) {
        event->sample.expected = true;
        event->sample.expected_absolute = 1000 * rng_uniform(rng);
        event->sample.expected_square = 1e6 * rng_uniform(rng);
    }
    if (task == TASK_BINARY) {
        event->sample.score = rng_uniform(rng) * rng_uniform(rng);
        event->sample.label_class = id_of(rng_uniform(rng) < event->sample.score ? "1" : "0");
        if (rng_u64(rng) % 3 == 0)
            event->sample.predicted = id_of(rng_u64(rng) % 2 ? "1" : "0");
    } else if (task == TASK_MULTICLASS) {
        fill_multiclass(rng, event, n_labels);
    } else if (task == TASK_RANKING) {
        fill_ranking(rng, event);
    } else if (task == TASK_SEGMENTATION) {
        fill_segmentation(rng, event);
    } else {
        /* Now and then far out: sums must keep 1e-300 beside 1e300. */
        const double scale = rng_u64(rng) % 20 ? 1000 : pow(10, 600 * rng_uniform(rng) - 300);
        event->sample.value = scale * (rng_uniform(rng) - 0.3);
        event->sample.label_value = event->sample.value + scale * (rng_uniform(rng) - 0.5) / 10;
    }
}

static struct event *events_of(enum task task, size_t n, uint64_t seed, uint64_t n_labels)
{
    struct event *events = calloc(n, sizeof(*events));
    assert_non_null(events);
    struct rng rng = rng_of(seed);
    for (size_t i = 0; i < n; i++)
        fill(&rng, task, &events[i], n_labels);
    return events;
}

static void predict(struct states *states, const struct event *event)
{
    assert_int_equal(states_predict(states, &event->sample), 0);
    if (event->looked.reference)
        assert_int_equal(states_looked(states, &event->looked), 0);
}

static void rest(struct states *states, const struct event *event, int sign)
{
    if (event->labelled)
        assert_int_equal(states_label(states, &event->sample, sign), 0);
    if (event->has_outcome)
        assert_int_equal(states_outcome(states, &event->outcome, sign), 0);
}

static struct states *fresh(enum task task)
{
    const struct metric_setup setup = setup_of(task);
    struct states *states = NULL;
    assert_int_equal(states_new(&states, &setup, NULL), 0);
    return states;
}

static struct states *in_order(enum task task, const struct event *events, size_t n)
{
    struct states *states = fresh(task);
    for (size_t i = 0; i < n; i++) {
        predict(states, &events[i]);
        rest(states, &events[i], 1);
    }
    return states;
}

static void assert_same_bytes(const struct states *a, const struct states *b)
{
    struct buf of_a, of_b;
    buf_init(&of_a, 1 << 26);
    buf_init(&of_b, 1 << 26);
    states_save(a, &of_a);
    states_save(b, &of_b);
    assert_false(buf_failed(&of_a));
    assert_int_equal(of_a.size, of_b.size);
    assert_memory_equal(of_a.data, of_b.data, of_a.size);
    buf_finish(&of_a);
    buf_finish(&of_b);
}

static struct states *saved_and_loaded(struct states *states)
{
    struct buf bytes;
    struct err err = {0};
    buf_init(&bytes, 1 << 26);
    states_save(states, &bytes);
    struct states *again = NULL;
    if (states_load(&again, states_setup(states), bytes.data, bytes.size, &err))
        fail_msg("%s", err.text);
    buf_finish(&bytes);
    states_free(states);
    return again;
}

static void shuffle(size_t *order, size_t n, struct rng *rng)
{
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    for (size_t i = n; i > 1; i--) {
        const size_t j = rng_u64(rng) % i;
        const size_t swap = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swap;
    }
}

/* Any order, in four parts that are merged in turn, one of them read back from its bytes. */
static struct states *shuffled_and_split(enum task task, const struct event *events, size_t n,
                                         uint64_t seed)
{
    struct rng rng = rng_of(seed);
    size_t *order = calloc(n, sizeof(*order));
    assert_non_null(order);
    shuffle(order, n, &rng);
    struct states *parts[N_PARTS];
    for (int i = 0; i < N_PARTS; i++)
        parts[i] = fresh(task);
    for (size_t i = 0; i < n; i++) {
        struct states *part = parts[rng_u64(&rng) % N_PARTS];
        predict(part, &events[order[i]]);
        rest(part, &events[order[i]], 1);
    }
    parts[1] = saved_and_loaded(parts[1]);
    assert_int_equal(states_merge(parts[2], parts[1]), 0);
    assert_int_equal(states_merge(parts[3], parts[0]), 0);
    assert_int_equal(states_merge(parts[3], parts[2]), 0);
    for (int i = 0; i < N_PARTS - 1; i++)
        states_free(parts[i]);
    free(order);
    return parts[N_PARTS - 1];
}

static void same_bytes_in_any_order_and_split(enum task task, size_t n, uint64_t n_labels)
{
    struct event *events = events_of(task, n, 11, n_labels);
    AUTO(states) struct states *plain = in_order(task, events, n);
    for (uint64_t seed = 1; seed <= 3; seed++) {
        AUTO(states) struct states *other = shuffled_and_split(task, events, n, seed);
        assert_same_bytes(plain, other);
        assert_int_equal(states_coarsen(other), 0);
        AUTO(states) struct states *coarse = in_order(task, events, n);
        assert_int_equal(states_coarsen(coarse), 0);
        assert_same_bytes(coarse, other);
    }
    free(events);
}

static void order_and_split_leave_no_trace_in_binary_states(void **state)
{
    (void)state;
    same_bytes_in_any_order_and_split(TASK_BINARY, 60, 0);
    same_bytes_in_any_order_and_split(TASK_BINARY, MANY, 0);
}

static void order_and_split_leave_no_trace_in_multiclass_states(void **state)
{
    (void)state;
    same_bytes_in_any_order_and_split(TASK_MULTICLASS, 60, N_CLASSES);
    same_bytes_in_any_order_and_split(TASK_MULTICLASS, MANY, N_CLASSES);
}

static void classes_beyond_the_limit_are_the_same_ones_in_any_order(void **state)
{
    (void)state;
    same_bytes_in_any_order_and_split(TASK_MULTICLASS, 2000, 700);
}

static void order_and_split_leave_no_trace_in_regression_states(void **state)
{
    (void)state;
    same_bytes_in_any_order_and_split(TASK_REGRESSION, 60, 0);
    same_bytes_in_any_order_and_split(TASK_REGRESSION, MANY, 0);
}

static void order_and_split_leave_no_trace_in_rankings_and_segmentations(void **state)
{
    (void)state;
    same_bytes_in_any_order_and_split(TASK_RANKING, 600, 0);
    same_bytes_in_any_order_and_split(TASK_SEGMENTATION, 600, 0);
}

/* Wrong labels first, then taken out, now and then twice; and at the end all of them out. */
static void corrected(enum task task)
{
    enum {
        N = 1500
    };
    struct event *events = events_of(task, N, 5, N_CLASSES);
    struct event *wrong = events_of(task, N, 6, N_CLASSES);
    AUTO(states) struct states *plain = in_order(task, events, N);
    AUTO(states) struct states *states = fresh(task);
    AUTO(states) struct states *unlabelled = fresh(task);
    for (size_t i = 0; i < N; i++) {
        struct event twisted = events[i];
        twisted.sample.label_class = wrong[i].sample.label_class;
        twisted.sample.label_value = wrong[i].sample.label_value;
        twisted.sample.relevances = wrong[i].sample.relevances;
        twisted.sample.n_relevances = wrong[i].sample.n_relevances;
        twisted.sample.pixels = wrong[i].sample.pixels;
        twisted.sample.n_pixels = wrong[i].sample.n_pixels;
        twisted.outcome.value = wrong[i].outcome.value;
        predict(states, &events[i]);
        predict(unlabelled, &events[i]);
        rest(states, &twisted, 1);
        if (i % 3 == 0) {
            rest(states, &twisted, -1);
            rest(states, &twisted, 1);
        }
        rest(states, &twisted, -1);
        rest(states, &events[i], 1);
    }
    assert_same_bytes(states, plain);

    for (size_t i = N; i-- > 0;)
        rest(states, &events[i], -1);
    assert_same_bytes(states, unlabelled);
    free(events);
    free(wrong);
}

static void a_corrected_label_leaves_no_trace(void **state)
{
    (void)state;
    corrected(TASK_BINARY);
    corrected(TASK_MULTICLASS);
    corrected(TASK_REGRESSION);
    corrected(TASK_RANKING);
    corrected(TASK_SEGMENTATION);
}

static void a_minute_of_sixty_events_is_saved_in_about_a_kilobyte(void **state)
{
    (void)state;
    struct event *events = events_of(TASK_BINARY, 60, 3, 0);
    AUTO(states) struct states *states = in_order(TASK_BINARY, events, 60);
    AUTO(states) struct states *empty = fresh(TASK_BINARY);
    struct buf bytes;
    buf_init(&bytes, 1 << 20);

    states_save(states, &bytes);
    assert_in_range(bytes.size, 500, 1100);
    buf_clear(&bytes);
    states_save(empty, &bytes);
    assert_int_equal(bytes.size, 9); /* version and checksum */
    buf_finish(&bytes);
    free(events);
}

/* One byte changed: the checksum tells. With a checksum made to fit: any answer but a crash. */
static void damage_one(const struct metric_setup *setup, struct buf *bytes, struct rng *rng)
{
    AUTO(states) struct states *damaged = NULL, *sealed = NULL;
    const size_t body = bytes->size - 8;
    unsigned char *at = bytes->data + rng_below(rng, body);
    const unsigned char was = *at;
    uint64_t checksum, fitting;
    *at ^= (unsigned char)(1 + rng_below(rng, 255));
    assert_int_not_equal(states_load(&damaged, setup, bytes->data, bytes->size, NULL), 0);
    assert_null(damaged);

    memcpy(&checksum, bytes->data + body, 8);
    fitting = XXH64(bytes->data, body, 0);
    memcpy(bytes->data + body, &fitting, 8);
    if (states_load(&sealed, setup, bytes->data, bytes->size, NULL) == 0) {
        struct buf again;
        buf_init(&again, 1 << 20);
        states_save(sealed, &again);
        assert_false(buf_failed(&again));
        buf_finish(&again);
    }
    memcpy(bytes->data + body, &checksum, 8);
    *at = was;
}

static void damaged_bytes_are_refused_or_harmless(void **state)
{
    (void)state;
    struct rng rng = rng_of(9);
    for (int t = 0; t < N_TASKS; t++) {
        const struct metric_setup setup = setup_of((enum task)t);
        struct event *events = events_of((enum task)t, 40, 8, N_CLASSES);
        AUTO(states) struct states *states = in_order((enum task)t, events, 40);
        struct buf bytes;
        buf_init(&bytes, 1 << 20);
        states_save(states, &bytes);
        for (int i = 0; i < 3000; i++)
            damage_one(&setup, &bytes, &rng);
        for (size_t n = 0; n < bytes.size; n++) {
            AUTO(states) struct states *short_one = NULL;
            assert_int_not_equal(states_load(&short_one, &setup, bytes.data, n, NULL), 0);
        }
        buf_finish(&bytes);
        free(events);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_and_split_leave_no_trace_in_binary_states),
        cmocka_unit_test(order_and_split_leave_no_trace_in_multiclass_states),
        cmocka_unit_test(classes_beyond_the_limit_are_the_same_ones_in_any_order),
        cmocka_unit_test(order_and_split_leave_no_trace_in_regression_states),
        cmocka_unit_test(order_and_split_leave_no_trace_in_rankings_and_segmentations),
        cmocka_unit_test(a_corrected_label_leaves_no_trace),
        cmocka_unit_test(a_minute_of_sixty_events_is_saved_in_about_a_kilobyte),
        cmocka_unit_test(damaged_bytes_are_refused_or_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
