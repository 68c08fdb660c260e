#include <stdlib.h>
#include <string.h>

#include "storage/changes.h"
#include "storage/transition.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"
#include "web/api.h"

/* A database with changes told, and one who asks it. */
struct site {
    struct temp *temp;
    struct changes *changes;
    struct store *store;
    struct api_context *context;
    struct experiment_row row;
};

static void site_open(struct site *site, bool tells)
{
    struct err err = {0};
    *site = (struct site){.temp = temp_new()};
    must(changes_new(&site->changes, &err), &err);
    site->store = temp_store(site->temp, STORE_WRITE);
    must(store_set_changes(site->store, site->changes, &err), &err);
    struct api_options options = {.store_path = site->temp->path,
                                  .changes = tells ? site->changes : NULL};
    must(api_open(&site->context, &options, &err), &err);
    site->row = (struct experiment_row){
        .name = "e",
        .model = "credit",
        .object = "{\"control\":\"v3\",\"treatment\":\"v4\",\"salt\":\"credit-v4\"}",
        .state = "draft",
        .ramp = "{}",
        .verdict = "{}",
    };
}

static void site_close(struct site *site)
{
    api_close(site->context);
    store_free(site->store);
    changes_free(site->changes);
    temp_free(site->temp);
}

static void create(struct site *site)
{
    struct err err = {0};
    must(commit_begin(site->store, &err), &err);
    must(commit_experiment_new(site->store, &site->row, &err), &err);
    must(commit_end(site->store, &err), &err);
}

static void move(struct site *site, const char *state, double weight)
{
    struct err err = {0};
    struct transition_row transition = {
        .experiment = "e",
        .clock = "event",
        .who = "test",
        .command = "",
        .verdict = "start",
        .from_state = site->row.state,
        .to_state = state,
        .from_weight = site->row.weight,
        .to_weight = weight,
        .reason = "",
        .evidence = "{}",
    };
    site->row.state = state;
    site->row.weight = weight;
    transition.seq = ++site->row.seq;
    must(commit_begin(site->store, &err), &err);
    must(commit_transition(site->store, &site->row, &transition, &err), &err);
    must(commit_end(site->store, &err), &err);
}

/* The version that serves user-42, whose bucket is 0.0627; or the problem's text. malloc'd. */
static char *asked(struct site *site)
{
    struct api_answer answer;
    struct err err = {0};
    struct api_request request = {
        .method = "GET", .target = "/api/v1/experiments/e/assignment?unit=user-42", .body = ""};
    api_answer_init(&answer);
    int rc = api_call(site->context, &request, &answer, &err);
    buf_u8(&answer.body, 0);
    const char *text = (const char *)answer.body.data;
    const char *version = rc ? NULL : strstr(text, "\"version\":\"");
    char *out = version ? strndup(version + 11, 2) : strdup(rc ? err.text : text);
    api_answer_finish(&answer);
    return out;
}

static void check(struct site *site, const char *expected)
{
    for (int i = 0; i < 2; i++) { /* from the database, and from memory */
        char *got = asked(site);
        assert_string_equal(got, expected);
        free(got);
    }
}

static void an_assignment_follows_every_change_at_once(void **state)
{
    (void)state;
    for (int tells = 0; tells < 2; tells++) {
        struct site site;
        site_open(&site, tells);

        check(&site, "there is no experiment \"e\"");
        create(&site);
        check(&site, "v3");
        move(&site, "running", 5);
        check(&site, "v3");
        move(&site, "running", 50);
        check(&site, "v4");
        move(&site, "rolled_back", 0);
        check(&site, "v3");

        site_close(&site);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_assignment_follows_every_change_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
