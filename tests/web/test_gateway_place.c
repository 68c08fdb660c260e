#include <string.h>

#include "tests/test.h"
#include "web/gateway/place.h"

static json_t *parsed(const char *text)
{
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(json);
    return json;
}

static void a_pointer_leads_through_objects_and_arrays(void **state)
{
    (void)state;
    json_t *json = parsed("{\"a\":[{\"b\":1},{\"b\":2}],\"x/y\":3,\"~\":4,\"\":5,\"-1\":6}");

    assert_int_equal(json_integer_value(pointer_get(json, "/a/1/b")), 2);
    assert_int_equal(json_integer_value(pointer_get(json, "/x~1y")), 3);
    assert_int_equal(json_integer_value(pointer_get(json, "/~0")), 4);
    assert_int_equal(json_integer_value(pointer_get(json, "/")), 5);
    assert_ptr_equal(pointer_get(json, ""), json);
    json_decref(json);
}

static void a_pointer_to_nothing_finds_nothing(void **state)
{
    (void)state;
    json_t *json = parsed("{\"a\":[1,2],\"t\":\"text\"}");
    const char *const nothing[] = {"/b",   "/a/2", "/a/-1",  "/a/01", "/a/1x",
                                   "/a/-", "/t/0", "/a/0/0", "/A",    "/a/99999999999999999999"};

    for (size_t i = 0; i < sizeof(nothing) / sizeof(*nothing); i++)
        assert_null(pointer_get(json, nothing[i]));
    assert_null(pointer_get(NULL, "/a"));
    json_decref(json);
}

static void a_pointer_is_valid_by_rfc_6901(void **state)
{
    (void)state;
    assert_true(pointer_is_valid(""));
    assert_true(pointer_is_valid("/a~0b~1c/0"));
    assert_false(pointer_is_valid("a"));
    assert_false(pointer_is_valid("/a~2"));
    assert_false(pointer_is_valid("/a~"));
}

static void a_cookie_is_found_by_its_whole_name(void **state)
{
    (void)state;
    char out[16];

    assert_int_equal(cookie_get("xuid=1; uid=abc; uid2=3", "uid", out, sizeof(out)), 3);
    assert_string_equal(out, "abc");
    assert_int_equal(cookie_get("uid=\"a b\"", "uid", out, sizeof(out)), 3);
    assert_string_equal(out, "a b");
    assert_int_equal(cookie_get(" a=1;uid=x=y \t; b=2", "uid", out, sizeof(out)), 3);
    assert_string_equal(out, "x=y");
    assert_int_equal(cookie_get("uid=", "uid", out, sizeof(out)), 0);
    assert_int_equal(cookie_get("uid", "uid", out, sizeof(out)), -1);
    assert_int_equal(cookie_get("", "uid", out, sizeof(out)), -1);
    assert_int_equal(cookie_get("; ;; ", "uid", out, sizeof(out)), -1);
    assert_int_equal(cookie_get("uid=0123456789abcdef", "uid", out, sizeof(out)), -1);
}

static void a_unit_is_the_same_as_number_and_as_text(void **state)
{
    (void)state;
    const struct {
        const char *json, *text; /* text NULL: it is no unit */
    } cases[] = {
        {"42", "42"},     {"\"42\"", "42"},
        {"42.0", "42"},   {"1.5", "1.5"},
        {"true", "true"}, {"null", NULL},
        {"[1]", NULL},    {"{\"a\":1}", NULL},
        {"\"\"", ""},     {"\"far too long for the room\"", NULL},
    };
    char out[16];
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        json_t *json = parsed(cases[i].json);
        int n = scalar_text(json, out, sizeof(out));
        if (cases[i].text) {
            assert_int_equal(n, strlen(cases[i].text));
            assert_string_equal(out, cases[i].text);
        } else {
            assert_int_equal(n, -1);
        }
        json_decref(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pointer_leads_through_objects_and_arrays),
        cmocka_unit_test(a_pointer_to_nothing_finds_nothing),
        cmocka_unit_test(a_pointer_is_valid_by_rfc_6901),
        cmocka_unit_test(a_cookie_is_found_by_its_whole_name),
        cmocka_unit_test(a_unit_is_the_same_as_number_and_as_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
