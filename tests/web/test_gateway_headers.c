#include "tests/test.h"
#include "web/gateway/headers.h"

static void what_is_about_one_connection_does_not_pass(void **state)
{
    (void)state;
    const char *const gone[] = {"Connection",     "keep-alive",          "TE",
                                "Trailer",        "Transfer-Encoding",   "Upgrade",
                                "Content-Length", "Proxy-Authorization", "proxy-connection",
                                "HTTP2-Settings"};
    for (size_t i = 0; i < sizeof(gone) / sizeof(*gone); i++) {
        assert_false(request_header_passes(gone[i], NULL));
        assert_false(answer_header_passes(gone[i], NULL));
    }
    assert_true(request_header_passes("Authorization", NULL));
    assert_true(request_header_passes("Content-Type", NULL));
    assert_true(answer_header_passes("Set-Cookie", NULL));
    assert_true(answer_header_passes("Content-Encoding", NULL));
}

static void nobody_else_speaks_in_our_name(void **state)
{
    (void)state;
    assert_false(request_header_passes("X-Assay-Version", NULL));
    assert_false(request_header_passes("x_assay_version", NULL)); /* WSGI reads both as one */
    assert_false(request_header_passes("X-Forwarded-For", NULL)); /* ours goes instead */
    assert_false(request_header_passes("Content_Length", NULL));
    assert_false(answer_header_passes("X-Assay-Id", NULL));
    assert_true(request_header_passes("X-Assayer", NULL));
}

static void the_connection_header_names_more_of_them(void **state)
{
    (void)state;
    const char *nominated = "close, X-Secret ,\tx-other";

    assert_false(request_header_passes("x-secret", nominated));
    assert_false(answer_header_passes("X-Other", nominated));
    assert_true(request_header_passes("x-sec", nominated));
    assert_true(request_header_passes("x-secret-2", nominated));
}

static void a_value_with_control_characters_is_not_clean(void **state)
{
    (void)state;
    assert_true(header_value_is_clean("a\tb \xc3\xa9"));
    assert_false(header_value_is_clean("a\r\nx: y"));
    assert_false(header_value_is_clean("a\x7f"));
}

static void methods_that_make_tunnels_or_echo_do_not_pass(void **state)
{
    (void)state;
    assert_true(method_passes("POST"));
    assert_true(method_passes("PATCH"));
    assert_false(method_passes("CONNECT"));
    assert_false(method_passes("TRACE"));
    assert_false(method_passes("post"));
    assert_false(method_passes("BREW"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_about_one_connection_does_not_pass),
        cmocka_unit_test(nobody_else_speaks_in_our_name),
        cmocka_unit_test(the_connection_header_names_more_of_them),
        cmocka_unit_test(a_value_with_control_characters_is_not_clean),
        cmocka_unit_test(methods_that_make_tunnels_or_echo_do_not_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
