#include "abtest/actuator.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/temp_store.h"
#include "tests/test.h"

static struct actuator_set *set_of(struct config **config, const char *actuators)
{
    char text[2048];
    struct err err = {0};
    struct actuator_set *set = NULL;
    snprintf(text, sizeof(text),
             "storage: {path: a.db}\nmodels: [{name: m, task: binary, positive: 1}]\n"
             "actuators: [%s]\n",
             actuators);
    must(config_parse(config, "a.yaml", text, strlen(text), &err), &err);
    must(actuator_set_parse(&set, *config, &err), &err);
    return set;
}

static const struct actuator_wish third = {"e", "m", "v1", "v\"2", 7, 100.0 / 3};

static void names_are_escaped_for_where_they_stand(void **state)
{
    (void)state;
    AUTO(config) struct config *config = NULL;
    AUTO(actuator_set)
    struct actuator_set *set = set_of(
        &config, "{name: a, experiment: e, url: 'https://x/{{treatment}}', body: "
                 "'{\"{{treatment}}\":{{weight_bp}},\"rest\":{{control_weight_bp}}}'},"
                 "{name: b, experiment: e, type: file, path: /x, template: '{{treatment}}'}");
    struct err err = {0};
    struct buf out;
    buf_init(&out, 1000);

    must(actuator_render_url(actuator_set_at(set, 0), &third, &out, &err), &err);
    assert_string_equal((char *)out.data, "https://x/v%222");

    buf_clear(&out);
    must(actuator_render_text(actuator_set_at(set, 0), &third, &out, &err), &err);
    buf_u8(&out, 0);
    assert_string_equal((char *)out.data, "{\"v\\u00222\":3333,\"rest\":6667}");

    buf_clear(&out);
    assert_int_equal(actuator_render_text(actuator_set_at(set, 1), &third, &out, &err), ERR_DATA);
    assert_string_equal(err.text, "actuator b: \"v\"2\" cannot stand in a file");
    buf_finish(&out);
}

static void weight_0_and_100_may_have_texts_of_their_own(void **state)
{
    (void)state;
    AUTO(config) struct config *config = NULL;
    AUTO(actuator_set)
    struct actuator_set *set = set_of(&config, "{name: b, experiment: e, type: file, path: /x, "
                                               "template: some, at_zero: none, at_full: all}");
    const double weights[] = {0, 0.5, 100};
    const char *texts[] = {"none", "some", "all"};
    for (int i = 0; i < 3; i++) {
        struct actuator_wish wish = {"e", "m", "v1", "v2", 1, weights[i]};
        struct err err = {0};
        struct buf out;
        buf_init(&out, 100);

        must(actuator_render_text(actuator_set_at(set, 0), &wish, &out, &err), &err);

        buf_u8(&out, 0);
        assert_string_equal((char *)out.data, texts[i]);
        buf_finish(&out);
    }
}

static void a_confirmation_compares_the_value_at_the_pointer(void **state)
{
    (void)state;
    static const struct {
        const char *pointer, *answer;
        double weight;
        bool same;
        const char *found;
    } rows[] = {
        {"/a/1/w~1x", "{\"a\":[0,{\"w/x\":5}]}", 5, true, "5"},
        {"/a/1/w~1x", "{\"a\":[0,{\"w/x\":30}]}", 5, false, "30"},
        {"/w", "{\"w\":\"33.3\"}", 33.3, true, "33.3"},
        {"/w", "{\"w\":5.0}", 5, true, "5"},
        {"/w", "{\"w\":null}", 0, false, "null"},
        {"/w", "{}", 0, false, "nothing"},
        {"/w/x", "{\"w\":[1]}", 1, false, "nothing"},
        {"/w/-1", "{\"w\":[1]}", 1, false, "nothing"},
        {"/w", "not JSON", 5, false, "nothing"},
        {"", "5\n", 5, true, "5"},
        {"", "", 5, false, ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[512], found[64];
        AUTO(config) struct config *config = NULL;
        snprintf(
            text, sizeof(text),
            "{name: a, experiment: e, url: 'https://x', body: x, confirm: {url: 'https://x'%s%s}}",
            *rows[i].pointer ? ", pointer: " : "", rows[i].pointer);
        AUTO(actuator_set) struct actuator_set *set = set_of(&config, text);
        struct actuator_wish wish = {"e", "m", "v1", "v2", 1, rows[i].weight};

        bool same = actuator_confirms(actuator_set_at(set, 0), &wish, rows[i].answer,
                                      strlen(rows[i].answer), found);

        assert_string_equal(found, rows[i].found);
        assert_int_equal(same, rows[i].same);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_escaped_for_where_they_stand),
        cmocka_unit_test(weight_0_and_100_may_have_texts_of_their_own),
        cmocka_unit_test(a_confirmation_compares_the_value_at_the_pointer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
