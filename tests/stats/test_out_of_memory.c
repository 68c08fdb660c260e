/*
 * Memory that runs out at every place it is asked for: the call says -ENOMEM, the states are as
 * before to the byte, and the same call works once there is memory again.
 *
 * malloc, calloc and realloc are ours here and hand on to glibc's; a sanitizer has its own, then
 * nothing fails and the test only runs through.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "stats/metric.h"
#include "tests/test.h"

enum {
    N_EVENTS = 80,
    N_CLASSES = 3
};

static long fail_after = -1; /* allocations that still work; -1: all */
static long failed;

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static bool fails(void)
{
    if (fail_after < 0)
        return false;
    if (fail_after-- > 0)
        return false;
    fail_after = -1;
    failed++;
    return true;
}

void *malloc(size_t n)
{
    return fails() ? NULL : __libc_malloc(n);
}
void *calloc(size_t n, size_t size)
{
    return fails() ? NULL : __libc_calloc(n, size);
}
void *realloc(void *p, size_t n)
{
    return fails() ? NULL : __libc_realloc(p, n);
}
enum {
    CAN_FAIL = 1
};
#else
enum {
    CAN_FAIL = 0
};
#endif

static const struct metric_setup setups[] = {
    {TASK_BINARY, 1, 0.5, NULL}, {TASK_MULTICLASS, 0, 0, NULL}, {TASK_REGRESSION, 0, 0, NULL}};

static struct sample sample_of(enum task task, struct rng *rng,
                               struct class_score scores[N_CLASSES])
{
    const double none = (double)NAN, score = rng_uniform(rng);
    struct sample sample = {.latency_ms = rng_exponential(rng, 10),
                            .score = none,
                            .value = none,
                            .label_value = none,
                            .unit = rng_u64(rng)};
    for (uint64_t i = 0; i < N_CLASSES; i++)
        scores[i] = (struct class_score){1 + i + rng_below(rng, 40) * N_CLASSES, score / 3};
    if (task == TASK_BINARY) {
        sample.score = score;
        sample.label_class = 1 + rng_below(rng, 2);
    } else if (task == TASK_MULTICLASS) {
        sample.scores = scores;
        sample.n_scores = N_CLASSES;
        sample.label_class = scores[0].class_id;
    } else {
        sample.value = (score - 0.5) * ldexp(1, (int)rng_below(rng, 900) - 450);
        sample.label_value = score;
    }
    return sample;
}

static void bytes_of(const struct states *states, struct buf *out)
{
    buf_clear(out);
    states_save(states, out);
    assert_false(buf_failed(out));
}

/* Makes the n-th allocation of a call fail, for n = 0, 1, … until the call needs no more. */
#define WITHOUT_MEMORY(states, call)                                     \
    do {                                                                 \
        struct buf before_, after_;                                      \
        buf_init(&before_, 1 << 20);                                     \
        buf_init(&after_, 1 << 20);                                      \
        bytes_of((states), &before_);                                    \
        for (long n_ = 0;; n_++) {                                       \
            fail_after = n_;                                             \
            const int rc_ = (call);                                      \
            fail_after = -1;                                             \
            if (rc_ == 0)                                                \
                break;                                                   \
            assert_int_equal(rc_, -ENOMEM);                              \
            bytes_of((states), &after_);                                 \
            assert_int_equal(after_.size, before_.size);                 \
            assert_memory_equal(after_.data, before_.data, after_.size); \
        }                                                                \
        buf_finish(&before_);                                            \
        buf_finish(&after_);                                             \
    } while (0)

static void fold_short_of_memory(struct states *states, const struct sample *sample, uint64_t i)
{
    const struct outcome outcome = {1 + i % 7, 0.1 * (double)i};
    WITHOUT_MEMORY(states, states_predict(states, sample));
    WITHOUT_MEMORY(states, states_label(states, sample, 1));
    WITHOUT_MEMORY(states, states_outcome(states, &outcome, 1));
}

static void a_failed_allocation_changes_nothing(void **state)
{
    (void)state;
    for (size_t t = 0; t < 3; t++) {
        AUTO(states) struct states *states = NULL, *plain = NULL, *sum = NULL;
        struct class_score scores[N_CLASSES];
        struct rng rng = rng_of(t);
        assert_int_equal(states_new(&states, &setups[t], NULL), 0);
        assert_int_equal(states_new(&plain, &setups[t], NULL), 0);
        assert_int_equal(states_new(&sum, &setups[t], NULL), 0);
        for (uint64_t i = 0; i < N_EVENTS; i++) {
            const struct sample sample = sample_of(setups[t].task, &rng, scores);
            const struct outcome outcome = {1 + i % 7, 0.1 * (double)i};
            fold_short_of_memory(states, &sample, i);
            assert_int_equal(states_predict(plain, &sample), 0);
            assert_int_equal(states_label(plain, &sample, 1), 0);
            assert_int_equal(states_outcome(plain, &outcome, 1), 0);
        }
        WITHOUT_MEMORY(sum, states_merge(sum, states));

        struct buf a, b;
        buf_init(&a, 1 << 20);
        buf_init(&b, 1 << 20);
        bytes_of(sum, &a);
        bytes_of(plain, &b);
        assert_int_equal(a.size, b.size);
        assert_memory_equal(a.data, b.data, a.size);
        buf_finish(&a);
        buf_finish(&b);
    }
    assert_true(!CAN_FAIL || failed > 50);
}

static void loading_and_results_survive_too(void **state)
{
    (void)state;
    for (size_t t = 0; t < 3; t++) {
        AUTO(states) struct states *states = NULL;
        struct class_score scores[N_CLASSES];
        struct rng rng = rng_of(t + 10);
        assert_int_equal(states_new(&states, &setups[t], NULL), 0);
        for (int i = 0; i < N_EVENTS; i++) {
            const struct sample sample = sample_of(setups[t].task, &rng, scores);
            assert_int_equal(states_predict(states, &sample), 0);
            assert_int_equal(states_label(states, &sample, 1), 0);
        }
        struct buf bytes;
        buf_init(&bytes, 1 << 20);
        bytes_of(states, &bytes);
        int rc = -ENOMEM;
        for (long n = 0; rc; n++) {
            AUTO(states) struct states *again = NULL;
            fail_after = n;
            rc = states_load(&again, &setups[t], bytes.data, bytes.size, NULL);
            fail_after = -1;
            assert_true(rc == 0 || rc == -ENOMEM);
        }
        buf_finish(&bytes);

        size_t n_rows;
        const struct metric_def *table = metric_table(&n_rows);
        for (size_t i = 0; i < n_rows; i++) {
            if (!(table[i].tasks >> setups[t].task & 1))
                continue;
            const struct metric_ref ref = {.def = &table[i], .argument = 1};
            for (long n = 0; n < 4; n++) {
                struct metric_value value;
                fail_after = n;
                metric_result(states, &ref, MINUTE, &value);
                fail_after = -1;
                assert_true(isnan(value.value) == (value.why != NULL));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_allocation_changes_nothing),
        cmocka_unit_test(loading_and_results_survive_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
