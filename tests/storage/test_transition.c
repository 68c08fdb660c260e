#include "storage/transition.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/audit.h"
#include "storage/commit.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

static const struct experiment_row draft = {.name = "credit-v4",
                                            .model = "credit",
                                            .object = "{}",
                                            .state = "draft",
                                            .created_ms = 1000,
                                            .ramp = "{}",
                                            .verdict = "{}"};

static struct experiment_row running(int64_t seq)
{
    struct experiment_row row = draft;
    row.state = "running";
    row.weight = 5;
    row.since_ms = 2000;
    row.seq = seq;
    return row;
}

static struct transition_row start_by(const char *command, int64_t seq)
{
    return (struct transition_row){.experiment = "credit-v4",
                                   .seq = seq,
                                   .at_ms = 2000,
                                   .clock = "wall",
                                   .who = "ann",
                                   .command = command,
                                   .verdict = "start",
                                   .from_state = "draft",
                                   .to_state = "running",
                                   .to_weight = 5,
                                   .reason = "go",
                                   .evidence = "{\"reason\":\"go\"}"};
}

static int transition(struct store *store, const char *command, int64_t seq)
{
    struct err err = {0};
    struct experiment_row row = running(seq);
    struct transition_row t = start_by(command, seq);
    must(commit_begin(store, &err), &err);
    int rc = commit_transition(store, &row, &t, &err);
    if (rc)
        commit_rollback(store);
    else
        must(commit_end(store, &err), &err);
    return rc;
}

static void make_draft(struct store *store)
{
    struct err err = {0};
    must(commit_begin(store, &err), &err);
    must(commit_experiment_new(store, &draft, &err), &err);
    must(commit_end(store, &err), &err);
}

static int take_state(void *context, const struct experiment_row *row, struct err *err)
{
    (void)err;
    snprintf(context, 64, "%s %g %lld", row->state, row->weight, (long long)row->seq);
    return 0;
}

static int count_transition(void *context, const struct transition_row *row, struct err *err)
{
    (void)row;
    (void)err;
    ++*(int *)context;
    return 0;
}

static void F42_of_two_that_race_one_wins_and_nothing_of_the_other_is_written(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    char text[64];
    int n = 0;
    make_draft(store);

    assert_int_equal(transition(store, "", 1), 0);
    assert_int_equal(transition(store, "", 1), TRANSITION_RACED);

    assert_int_equal(experiments_read(store, "credit-v4", take_state, text, NULL), 0);
    assert_string_equal(text, "running 5 1");
    assert_int_equal(transitions_read(store, "credit-v4", count_transition, &n, NULL), 0);
    assert_int_equal(n, 1);
}

static void F42_a_repeated_command_is_one_transition(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    int n = 0;
    make_draft(store);

    assert_int_equal(transition(store, "cmd-1", 1), 0);
    assert_int_equal(transition(store, "cmd-1", 2), TRANSITION_REPEATED);

    assert_int_equal(transitions_read(store, NULL, count_transition, &n, NULL), 0);
    assert_int_equal(n, 1);
}

static void a_name_is_used_once(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    make_draft(store);
    must(commit_begin(store, &err), &err);
    assert_int_equal(commit_experiment_new(store, &draft, &err), -EEXIST);
    commit_rollback(store);
    assert_string_equal(err.text,
                        "experiment \"credit-v4\" exists already; a finished name is never used "
                        "again");
}

static void write_audit(struct store *store, int n)
{
    struct err err = {0};
    must(commit_begin(store, &err), &err);
    for (int i = 0; i < n; i++) {
        struct audit_row row = {.at_ms = 1000 + i,
                                .clock = "wall",
                                .who = "ann",
                                .action = "silence.create",
                                .subject = "7",
                                .detail = "{}"};
        must(commit_audit(store, &row, &err), &err);
    }
    must(commit_end(store, &err), &err);
}

static void F45_each_edit_of_the_audit_log_is_found_and_named(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        const char *text;
    } edits[] = {
        {"UPDATE audit SET who = 'bob' WHERE seq = 3",
         "audit: row 3 (silence.create 7) was changed, or the one before it"},
        {"UPDATE audit SET at_ms = 1 WHERE seq = 1",
         "audit: row 1 (silence.create 7) was changed, or the one before it"},
        {"UPDATE audit SET hash = zeroblob(32) WHERE seq = 2",
         "audit: row 2 (silence.create 7) was changed, or the one before it"},
        {"DELETE FROM audit WHERE seq = 2", "audit: row 2 is missing"},
        {"DELETE FROM audit WHERE seq > 3", "audit: row 4 and what followed it were cut off"},
        {"DELETE FROM audit", "audit: row 1 and what followed it were cut off"},
        {"UPDATE audit SET detail = '{\"a\":1}', subject = '' WHERE seq = 5",
         "audit: row 5 (silence.create ) was changed, or the one before it"},
    };
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        AUTO(temp) struct temp *temp = temp_new();
        struct err err = {0};
        struct store *store = temp_store(temp, STORE_WRITE);
        write_audit(store, 5);
        assert_int_equal(audit_verify(store, &err), 0);
        store_free(store);

        temp_edit(temp->path, edits[i].sql);

        store = temp_store(temp, STORE_READ);
        assert_int_equal(audit_verify(store, &err), ERR_CORRUPT);
        assert_string_equal(err.text, edits[i].text);
        store_free(store);
    }
}

static void a_row_of_many_megabytes_is_written_and_verified(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    size_t n = (size_t)20 << 20;
    char *detail = malloc(n + 3);
    assert_non_null(detail);
    memset(detail, 'x', n + 2);
    detail[0] = detail[n + 1] = '"';
    detail[n + 2] = '\0';
    struct audit_row row = {.at_ms = 1,
                            .clock = "wall",
                            .who = "engine",
                            .action = "experiment.rollback",
                            .subject = "e",
                            .detail = detail};

    must(commit_begin(store, &err), &err);
    must(commit_audit(store, &row, &err), &err);
    must(commit_end(store, &err), &err);

    must(audit_verify(store, &err), &err);
    free(detail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(F42_of_two_that_race_one_wins_and_nothing_of_the_other_is_written),
        cmocka_unit_test(F42_a_repeated_command_is_one_transition),
        cmocka_unit_test(a_name_is_used_once),
        cmocka_unit_test(F45_each_edit_of_the_audit_log_is_found_and_named),
        cmocka_unit_test(a_row_of_many_megabytes_is_written_and_verified),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
