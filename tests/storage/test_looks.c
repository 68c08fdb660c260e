#include "storage/looks.h"

#include <stdio.h>
#include <string.h>

#include "storage/audit.h"
#include "storage/commit.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

static void keep(struct store *store, const char *experiment, int64_t at_ms, const char *detail)
{
    struct err err = {0};
    struct look_row row = {
        .experiment = experiment, .at_ms = at_ms, .step = 1, .weight = 50, .detail = detail};
    must(commit_begin(store, &err), &err);
    must(commit_look(store, &row, &err), &err);
    must(commit_end(store, &err), &err);
}

static int append(void *context, const struct look_row *row, struct err *err)
{
    (void)err;
    char *text = context;
    size_t n = strlen(text);
    snprintf(text + n, 200 - n, "%lld/%d/%g/%s ", (long long)row->at_ms, row->step, row->weight,
             row->detail);
    return 0;
}

static void looks_come_back_in_order_and_a_repeated_one_replaces(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    keep(store, "a", 2000, "{}");
    keep(store, "a", 1000, "{\"x\":1}");
    keep(store, "b", 1500, "{}");
    keep(store, "a", 1000, "{\"x\":2}");
    keep(store, "a", 3000, "{}");
    char text[200] = "", page[200] = "";
    int64_t last = 0, none = 0;

    must(looks_read(store, "a", -1, 10, append, text, &err), &err);
    must(looks_read(store, "a", 1000, 1, append, page, &err), &err);
    must(looks_last(store, "a", &last, &err), &err);
    must(looks_last(store, "c", &none, &err), &err);

    assert_string_equal(text, "1000/1/50/{\"x\":2} 2000/1/50/{} 3000/1/50/{} ");
    assert_string_equal(page, "2000/1/50/{} ");
    assert_int_equal(last, 3000);
    assert_true(none == INT64_MIN);
    store_free(store);
}

static int take_action(void *context, const struct audit_row *row, struct err *err)
{
    (void)err;
    char *text = context;
    size_t n = strlen(text);
    snprintf(text + n, 200 - n, "%lld %s %s|", (long long)row->seq, row->action, row->detail);
    return 0;
}

static void audit_rows_of_a_subject_are_found_without_their_weight(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    const char *const subjects[] = {"a", "b", "a"};
    must(commit_begin(store, &err), &err);
    for (int i = 0; i < 3; i++) {
        struct audit_row row = {.at_ms = i,
                                .clock = "wall",
                                .who = "ann",
                                .action = i ? "experiment.pause" : "experiment.create",
                                .subject = subjects[i],
                                .detail = "{\"long\":true}"};
        must(commit_audit(store, &row, &err), &err);
    }
    must(commit_end(store, &err), &err);
    char text[200] = "";

    must(audit_of(store, "a", take_action, text, &err), &err);

    assert_string_equal(text, "1 experiment.create |3 experiment.pause |");
    store_free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looks_come_back_in_order_and_a_repeated_one_replaces),
        cmocka_unit_test(audit_rows_of_a_subject_are_found_without_their_weight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
