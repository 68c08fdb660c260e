/* A window is judged once, whoever asks and however many at once, and the same each time. */
#include "storage/drift_judged.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "common/rng.h"
#include "stats/sample.h"
#include "tests/lib/fault_malloc.h"
#include "tests/test.h"

enum {
    N_FEATURES = 60,
    N_ASKERS = 8,
    N_REFERENCE = 2000,
    N_EVENTS = 90
};

struct site {
    struct profile_feature features[N_FEATURES];
    struct profile_model model;
    struct profile *window;
    struct drift_cache *cache;
    struct drift_rule rule;
};

static struct profile *draw(const struct site *site, enum profile_level level, int n, uint64_t seed)
{
    struct profile *profile = NULL;
    struct rng rng = rng_of(seed);
    assert_int_equal(profile_new(&profile, &site->model.layout, level, NULL), 0);
    for (int e = 0; e < n; e++) {
        profile_event(profile, 1);
        for (uint32_t f = 0; f < N_FEATURES; f++) {
            double x = rng_normal(&rng);
            int rc = f % 2 ? profile_category(profile, f, 2 + (uint64_t)(fabs(x) * 4), 1)
                           : profile_number(profile, f, x, 1);
            assert_int_equal(rc, 0);
        }
    }
    return profile;
}

static struct site *site_new(enum drift_method method)
{
    struct site *site = calloc(1, sizeof(*site));
    char name[20];
    site->rule = (struct drift_rule){method, 0.01, 0.05};
    for (uint32_t f = 0; f < N_FEATURES; f++) {
        snprintf(name, sizeof(name), "f%u", f);
        site->features[f] =
            (struct profile_feature){.name_id = class_id(name, strlen(name)),
                                     .kind = f % 2 ? PROFILE_CATEGORICAL : PROFILE_NUMERIC,
                                     .min = (double)NAN,
                                     .max = (double)NAN};
    }
    site->model.features = site->features;
    site->model.n_features = N_FEATURES;
    site->model.layout = (struct profile_layout){0, N_FEATURES, site->features};
    AUTO(profile) struct profile *rows = draw(site, PROFILE_REFERENCE, N_REFERENCE, 1);
    assert_int_equal(reference_build(&site->model.reference.reference, rows, 0, NULL), 0);
    reference_layout(site->model.reference.reference, &site->model.layout, site->features);
    site->window = draw(site, PROFILE_MINUTE, N_EVENTS, 2);
    assert_int_equal(drift_cache_new(&site->cache, NULL), 0);
    return site;
}

static void site_free(struct site *site)
{
    drift_cache_free(site->cache);
    profile_free(site->window);
    reference_free(site->model.reference.reference);
    free(site);
}
DEFINE_FREEP(site)

struct answer {
    struct drift_feature features[N_FEATURES];
    struct drift_summary summary;
};

static int ask(const struct site *site, const struct drift_judging *how, struct answer *out)
{
    struct drift_judging judging = *how;
    const struct profile_point point = {.profile = site->window, .fingerprint = 77};
    judging.cache = site->cache;
    judging.rule = &site->rule;
    judging.model = &site->model;
    return drift_judged_make(&judging, &point, out->features, &out->summary, NULL);
}

static void assert_same(const struct answer *a, const struct answer *b)
{
    assert_int_equal(a->summary.n_judged, N_FEATURES);
    assert_int_equal(a->summary.n_judged, b->summary.n_judged);
    assert_int_equal(a->summary.n_drifted, b->summary.n_drifted);
    assert_int_equal(a->summary.events, N_EVENTS);
    for (int f = 0; f < N_FEATURES; f++) {
        const struct drift_verdict *x = &a->features[f].verdict, *y = &b->features[f].verdict;
        assert_string_equal(x->method, y->method);
        assert_float_equal(x->statistic, y->statistic, 0);
        assert_float_equal(x->threshold, y->threshold, 0);
        assert_float_equal(x->p_value, y->p_value, 0);
        assert_float_equal(x->q_value, y->q_value, 0);
    }
}

struct asker {
    const struct site *site;
    struct answer answer;
    int rc;
};

static void *run_asker(void *argument)
{
    static const struct drift_judging plain = {0};
    struct asker *asker = argument;
    asker->rc = ask(asker->site, &plain, &asker->answer);
    return NULL;
}

static void many_who_ask_at_once_have_it_judged_once_and_get_the_same(void **state)
{
    (void)state;
    static struct asker askers[N_ASKERS];
    AUTO(site) struct site *site = site_new(DRIFT_PSI);
    pthread_t threads[N_ASKERS];

    for (int i = 0; i < N_ASKERS; i++) {
        askers[i].site = site;
        assert_int_equal(pthread_create(&threads[i], NULL, run_asker, &askers[i]), 0);
    }
    for (int i = 0; i < N_ASKERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);

    const struct drift_cache_work work = drift_cache_work(site->cache);
    assert_int_equal(work.windows, 1);
    assert_int_equal(work.laws, 2 * N_FEATURES); /* of the sizes below and above 90 */
    for (int i = 0; i < N_ASKERS; i++) {
        assert_int_equal(askers[i].rc, 0);
        assert_same(&askers[i].answer, &askers[0].answer);
    }
}

static void alone_and_with_a_crew_the_verdicts_are_the_same(void **state)
{
    (void)state;
    static const struct drift_judging alone = {.background = true}, helped = {0};
    static const enum drift_method methods[] = {DRIFT_AUTO, DRIFT_WASSERSTEIN_NORM, DRIFT_JS};
    static struct answer answers[2];
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        AUTO(site) struct site *one = site_new(methods[i]), *many = site_new(methods[i]);
        assert_int_equal(ask(one, &alone, &answers[0]), 0);
        assert_int_equal(ask(many, &helped, &answers[1]), 0);
        assert_same(&answers[0], &answers[1]);
    }
}

static void what_was_judged_in_the_background_is_found(void **state)
{
    (void)state;
    static const struct drift_judging background = {.background = true};
    static struct answer made, found;
    AUTO(site) struct site *site = site_new(DRIFT_AUTO);
    const struct drift_judging judging = {
        .cache = site->cache, .rule = &site->rule, .model = &site->model};

    assert_false(drift_judged_find(&judging, 77, found.features, &found.summary));
    assert_int_equal(ask(site, &background, &made), 0);

    assert_true(drift_judged_find(&judging, 77, found.features, &found.summary));
    assert_same(&made, &found);
    assert_false(drift_judged_find(&judging, 78, found.features, &found.summary));
}

static bool stop_after(void *context)
{
    return atomic_fetch_sub((atomic_int *)context, 1) <= 0;
}

static void who_stops_keeps_nothing_and_the_next_one_is_answered(void **state)
{
    (void)state;
    static struct answer answer;
    atomic_int left = 5;
    AUTO(site) struct site *site = site_new(DRIFT_PSI);
    const struct drift_judging stopping = {.stopping = stop_after, .context = &left};
    const struct drift_judging plain = {0};

    assert_int_equal(ask(site, &stopping, &answer), -ECANCELED);

    assert_int_equal(drift_cache_work(site->cache).windows, 0);
    assert_true(drift_cache_work(site->cache).laws < 2 * N_FEATURES);
    assert_int_equal(ask(site, &plain, &answer), 0);
    assert_int_equal(drift_cache_work(site->cache).windows, 1);
}

/* Somebody's question, which is answered when it was looked after that often. */
struct other_question {
    struct drift_cache *cache;
    const struct answer *answer; /* of who stands aside */
    int looks, answered_at, begun_at;
};

static bool look_after(void *context)
{
    struct other_question *other = context;
    other->looks++;
    if (!other->begun_at && other->answer->features[0].quality.n)
        other->begun_at = other->looks;
    if (other->looks == other->answered_at)
        drift_cache_question_end(other->cache);
    return false;
}

static void what_is_made_ready_stands_aside_while_somebody_waits(void **state)
{
    (void)state;
    static struct answer aside, plain_answer;
    static const struct drift_judging plain = {0};
    AUTO(site) struct site *site = site_new(DRIFT_AUTO);
    AUTO(site) struct site *alone = site_new(DRIFT_AUTO);
    struct other_question other = {.cache = site->cache, .answer = &aside, .answered_at = 3};
    const struct drift_judging background = {
        .background = true, .stopping = look_after, .context = &other};

    drift_cache_question_begin(site->cache);
    assert_int_equal(ask(site, &background, &aside), 0);

    assert_int_equal(other.begun_at, 4); /* at the next feature */
    assert_int_equal(ask(alone, &plain, &plain_answer), 0);
    assert_same(&aside, &plain_answer);
}

static void who_stands_aside_stops_when_all_is_over_and_holds_nobody_up(void **state)
{
    (void)state;
    static struct answer answer;
    static const struct drift_judging plain = {0};
    atomic_int left = 2;
    AUTO(site) struct site *site = site_new(DRIFT_AUTO);
    const struct drift_judging background = {
        .background = true, .stopping = stop_after, .context = &left};

    drift_cache_question_begin(site->cache);
    assert_int_equal(ask(site, &background, &answer), -ECANCELED);
    assert_int_equal(drift_cache_work(site->cache).windows, 0);
    assert_int_equal(ask(site, &plain, &answer), 0); /* who waits does not stand aside */
    drift_cache_question_end(site->cache);
}

static void without_memory_it_says_so_and_the_next_one_is_answered(void **state)
{
    (void)state;
    static const struct drift_judging alone = {.background = true};
    static struct answer answer;
    AUTO(site) struct site *site = site_new(DRIFT_AUTO);
    int n_failed = 0;
    for (int64_t at = 1;; at++) {
        fault_malloc_at(at);
        int rc = ask(site, &alone, &answer);
        bool failed = fault_malloc_has_failed();
        fault_malloc_at(0);
        if (!failed)
            break;
        assert_true(rc == 0 || rc == -ENOMEM);
        n_failed++;
        at += at / 8; /* the first ones each, then fewer */
    }
    assert_true(n_failed > 10);
    assert_int_equal(ask(site, &alone, &answer), 0);
    assert_int_equal(answer.summary.n_judged, N_FEATURES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_who_ask_at_once_have_it_judged_once_and_get_the_same),
        cmocka_unit_test(alone_and_with_a_crew_the_verdicts_are_the_same),
        cmocka_unit_test(what_was_judged_in_the_background_is_found),
        cmocka_unit_test(who_stops_keeps_nothing_and_the_next_one_is_answered),
        cmocka_unit_test(what_is_made_ready_stands_aside_while_somebody_waits),
        cmocka_unit_test(who_stands_aside_stops_when_all_is_over_and_holds_nobody_up),
        cmocka_unit_test(without_memory_it_says_so_and_the_next_one_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
