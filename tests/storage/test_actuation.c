#include "storage/actuation.h"

#include <string.h>

#include "storage/commit.h"
#include "storage/transition.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

static struct store *store_with_experiment(const struct temp *temp)
{
    static const struct experiment_row draft = {.name = "e",
                                                .model = "m",
                                                .object = "{}",
                                                .state = "draft",
                                                .created_ms = 1,
                                                .ramp = "{}",
                                                .verdict = "{}"};
    struct err err = {0};
    struct store *store = temp_store(temp, STORE_WRITE);
    must(commit_begin(store, &err), &err);
    must(commit_experiment_new(store, &draft, &err), &err);
    must(commit_end(store, &err), &err);
    return store;
}

struct copy {
    struct actuation_row row;
    char problem[64];
    bool applying;
};

static int take(void *context, const struct actuation_row *row, struct err *err)
{
    (void)err;
    struct copy *copy = context;
    copy->row = *row;
    strncat(copy->problem, row->problem, sizeof(copy->problem) - 1);
    return 0;
}

static int take_applying(void *context, const struct experiment_row *row, struct err *err)
{
    (void)err;
    ((struct copy *)context)->applying = row->applying;
    return 0;
}

static struct copy read_one(struct store *store)
{
    struct err err = {0};
    struct copy copy = {0};
    must(actuations_read(store, "edge", NULL, take, &copy, &err), &err);
    must(experiments_read(store, "e", take_applying, &copy, &err), &err);
    return copy;
}

static void wish(struct store *store, int64_t seq, double weight, int64_t now_ms)
{
    struct err err = {0};
    must(commit_begin(store, &err), &err);
    must(commit_actuation_wanted(store, "edge", "e", seq, weight, now_ms, &err), &err);
    must(commit_applying(store, "e", &err), &err);
    must(commit_end(store, &err), &err);
}

static int confirm(struct store *store, int64_t seq)
{
    struct err err = {0};
    struct actuation_row outcome = {.actuator = "edge",
                                    .experiment = "e",
                                    .seq = seq,
                                    .confirmed = true,
                                    .confirmed_ms = 99,
                                    .corrections = 2,
                                    .problem = ""};
    must(commit_begin(store, &err), &err);
    int rc = commit_actuation_outcome(store, &outcome, &err);
    must(commit_end(store, &err), &err);
    return rc;
}

static void a_wish_is_applying_until_it_is_confirmed(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = store_with_experiment(temp);

    wish(store, 1, 5, 100);
    assert_true(read_one(store).applying);
    assert_int_equal(confirm(store, 1), 0);

    struct copy copy = read_one(store);
    assert_false(copy.applying);
    assert_true(copy.row.confirmed);
    assert_int_equal(copy.row.confirmed_ms, 99);
}

static void what_came_of_an_older_wish_is_dropped(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = store_with_experiment(temp);
    wish(store, 1, 5, 100);

    wish(store, 2, 50, 200);
    assert_int_equal(confirm(store, 1), ACTUATION_STALE);

    struct copy copy = read_one(store);
    assert_false(copy.row.confirmed);
    assert_true(copy.applying);
    assert_float_equal(copy.row.weight, 50, 0);
    assert_int_equal(copy.row.next_ms, 200);
}

static void the_same_weight_wished_again_stays_confirmed(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = store_with_experiment(temp);
    wish(store, 1, 5, 100);
    confirm(store, 1);

    wish(store, 2, 5, 300);

    struct copy copy = read_one(store);
    assert_true(copy.row.confirmed);
    assert_int_equal(copy.row.seq, 1);
    assert_int_equal(copy.row.corrections, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wish_is_applying_until_it_is_confirmed),
        cmocka_unit_test(what_came_of_an_older_wish_is_dropped),
        cmocka_unit_test(the_same_weight_wished_again_stays_confirmed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
