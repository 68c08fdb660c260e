/* What the page asks first is computed before anybody asks, and again when something changed. */
#include "web/warmer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/rng.h"
#include "stats/sample.h"
#include "storage/changes.h"
#include "storage/commit.h"
#include "storage/drift_cache.h"
#include "storage/profiles.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

#define START (INT64_C(1700000000000) / HOUR * HOUR)

enum {
    N_FEATURES = 8,
    N_WINDOWS = 6,
    N_REFERENCE = 1000,
    N_EVENTS = 60
};

struct site {
    struct temp *temp;
    struct store *store;
    struct changes *changes;
    struct drift_cache *cache;
    int64_t series;
    struct profile_feature features[N_FEATURES];
    struct profile_layout layout;
    struct reference *reference;
};

static struct profile *draw(const struct site *site, enum profile_level level, int n, uint64_t seed)
{
    struct profile *profile = NULL;
    struct rng rng = rng_of(seed);
    must(profile_new(&profile, &site->layout, level, NULL), &(struct err){0});
    for (int e = 0; e < n; e++) {
        profile_event(profile, 1);
        for (uint32_t f = 0; f < N_FEATURES; f++)
            assert_int_equal(
                profile_category(profile, f, 2 + (uint64_t)(fabs(rng_normal(&rng)) * 4), 1), 0);
    }
    return profile;
}

static void write_window(struct site *site, int window)
{
    struct err err = {0};
    struct buf bytes;
    int64_t at = START + window * HOUR;
    AUTO(profile)
    struct profile *profile = draw(site, PROFILE_HOUR, N_EVENTS, 2 + (uint64_t)window);
    buf_init(&bytes, 1 << 22);
    profile_save(profile, &bytes);
    must(commit_begin(site->store, &err), &err);
    must(commit_profile(site->store, site->series, HOUR, at, PROFILE_FEATURES, bytes.data,
                        bytes.size, &err),
         &err);
    must(commit_fact(site->store, "watermark_ms", at + HOUR - 1, &err), &err);
    must(commit_end(site->store, &err), &err);
    buf_finish(&bytes);
    changes_bump(site->changes);
}

static struct site *site_new(void)
{
    struct err err = {0};
    struct site *site = calloc(1, sizeof(*site));
    char name[20];
    site->temp = temp_new();
    site->store = temp_store(site->temp, STORE_WRITE);
    temp_series(site->store, "credit", "v1", "");
    site->series = 1;
    must(changes_new(&site->changes, &err), &err);
    must(drift_cache_new(&site->cache, &err), &err);
    must(commit_begin(site->store, &err), &err);
    for (uint32_t f = 0; f < N_FEATURES; f++) {
        snprintf(name, sizeof(name), "f%u", f);
        site->features[f] = (struct profile_feature){.name_id = class_id(name, strlen(name)),
                                                     .kind = PROFILE_CATEGORICAL,
                                                     .min = (double)NAN,
                                                     .max = (double)NAN};
        must(commit_name(site->store, "credit", "feature", site->features[f].name_id, view_of(name),
                         &err),
             &err);
    }
    site->layout = (struct profile_layout){0, N_FEATURES, site->features};
    AUTO(profile) struct profile *rows = draw(site, PROFILE_REFERENCE, N_REFERENCE, 1);
    must(reference_build(&site->reference, rows, 0, &err), &err);
    must(commit_reference(site->store, "credit", "", site->reference, "file", 1, &err), &err);
    must(commit_end(site->store, &err), &err);
    reference_layout(site->reference, &site->layout, site->features);
    for (int w = 0; w < N_WINDOWS; w++)
        write_window(site, w);
    return site;
}

static void site_free(struct site *site)
{
    store_free(site->store);
    drift_cache_free(site->cache);
    changes_free(site->changes);
    reference_free(site->reference);
    temp_free(site->temp);
    free(site);
}
DEFINE_FREEP(site)

static struct api_options options_of(const struct site *site)
{
    return (struct api_options){
        .store_path = site->temp->path, .changes = site->changes, .drift_cache = site->cache};
}

static struct warmer *start_with(const struct api_options *options)
{
    struct err err = {0};
    struct warmer *warmer = NULL;
    must(warmer_start(&warmer, options, &err), &err);
    return warmer;
}

static struct warmer *start(const struct site *site)
{
    const struct api_options options = options_of(site);
    return start_with(&options);
}

static void wait_for_windows(const struct site *site, uint64_t n)
{
    for (int tries = 0; drift_cache_work(site->cache).windows < n; tries++) {
        assert_true(tries < 60000);
        usleep(10000);
    }
}

/* The answer's points of one feature. */
static int ask(const struct site *site)
{
    struct err err = {0};
    struct api_context *api = NULL;
    struct api_answer answer;
    const struct api_options options = options_of(site);
    const struct api_request request = {
        .method = "GET", .target = "/api/v1/models/credit/drift?feature=f7", .body = ""};
    int n = 0;
    must(api_open(&api, &options, &err), &err);
    api_answer_init(&answer);
    must(api_call(api, &request, &answer, &err), &err);
    buf_u8(&answer.body, '\0');
    for (const char *at = (const char *)answer.body.data;
         (at = strstr(at, "\"method\":\"js_distance\"")); at++)
        n++;
    api_answer_finish(&answer);
    api_close(api);
    return n;
}

static void who_asks_first_has_nothing_computed_for_him(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new();
    struct warmer *warmer = start(site);
    wait_for_windows(site, N_WINDOWS);
    warmer_stop(warmer);
    const struct drift_cache_work before = drift_cache_work(site->cache);

    assert_int_equal(ask(site), N_WINDOWS);

    const struct drift_cache_work after = drift_cache_work(site->cache);
    assert_int_equal(before.windows, N_WINDOWS);
    assert_int_equal(after.windows, before.windows);
    assert_int_equal(after.laws, before.laws);
    assert_int_equal(after.laws, 2 * N_FEATURES); /* of the sizes below and above 60 */
}

static void a_window_that_comes_later_is_made_ready_alone(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new();
    __attribute__((cleanup(warmer_freep))) struct warmer *warmer = start(site);
    wait_for_windows(site, N_WINDOWS);

    write_window(site, N_WINDOWS);
    wait_for_windows(site, N_WINDOWS + 1);

    assert_int_equal(drift_cache_work(site->cache).windows, N_WINDOWS + 1);
}

static void what_failed_is_asked_again_though_nothing_changed(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new();
    struct api_options options = options_of(site);
    char later[sizeof(site->temp->path) + 10];
    snprintf(later, sizeof(later), "%s.later", site->temp->path);
    options.store_path = later;
    __attribute__((cleanup(warmer_freep))) struct warmer *warmer = start_with(&options);

    usleep(100000); /* it finds no database meanwhile */
    assert_int_equal(symlink(site->temp->path, later), 0);
    wait_for_windows(site, N_WINDOWS);

    assert_int_equal(drift_cache_work(site->cache).windows, N_WINDOWS);
    assert_int_equal(unlink(later), 0);
}

static void it_can_be_stopped_at_any_time(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new();
    for (int i = 0; i < 20; i++) {
        struct warmer *warmer = start(site);
        usleep(500 * (useconds_t)i); /* wherever it is then */
        warmer_stop(warmer);
    }

    assert_in_range(drift_cache_work(site->cache).windows, 0, N_WINDOWS);
    assert_int_equal(ask(site), N_WINDOWS);
}

static void it_rests_fifty_times_as_long_as_it_worked(void **state)
{
    (void)state;
    assert_int_equal(warmer_rest_ms(0), 1000);
    assert_int_equal(warmer_rest_ms(20), 1000);
    assert_int_equal(warmer_rest_ms(100), 5000);
    assert_int_equal(warmer_rest_ms(INT64_MAX), 3600000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_asks_first_has_nothing_computed_for_him),
        cmocka_unit_test(a_window_that_comes_later_is_made_ready_alone),
        cmocka_unit_test(what_failed_is_asked_again_though_nothing_changed),
        cmocka_unit_test(it_can_be_stopped_at_any_time),
        cmocka_unit_test(it_rests_fifty_times_as_long_as_it_worked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
