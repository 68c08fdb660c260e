#include "alerts/sign.h"

#include <string.h>

#include "tests/test.h"

static const char secret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

static void the_signature_equals_the_official_library(void **state)
{
    (void)state;
    /* Computed with the PyPI package standardwebhooks for the same input. */
    struct sign_key key;
    struct buf out;
    buf_init(&out, 4096);
    const char body[] = "{\"test\": 2432232314}";
    assert_int_equal(sign_key_parse(&key, secret, NULL), 0);
    assert_int_equal(sign_webhook(&out, &key, 1, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body,
                                  strlen(body), NULL),
                     0);
    buf_u8(&out, 0);
    assert_string_equal((char *)out.data, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    buf_finish(&out);
}

static void two_secrets_give_two_signatures(void **state)
{
    (void)state;
    struct sign_key keys[2];
    struct buf out;
    buf_init(&out, 4096);
    sign_key_parse(&keys[0], "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", NULL);
    sign_key_parse(&keys[1], secret, NULL);
    const char body[] = "{\"test\": 2432232314}";
    assert_int_equal(sign_webhook(&out, keys, 2, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body,
                                  strlen(body), NULL),
                     0);
    buf_u8(&out, 0);
    const char *second = strchr((char *)out.data, ' ');
    assert_non_null(second);
    assert_string_equal(second + 1, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    buf_finish(&out);
}

static void a_bad_secret_is_refused_and_not_shown(void **state)
{
    (void)state;
    struct sign_key key;
    struct err err;
    assert_int_equal(sign_key_parse(&key, "hunter2", &err), ERR_DATA);
    assert_string_equal(err.text, "webhook secret: does not begin with whsec_");
    assert_int_equal(sign_key_parse(&key, "whsec_aGVsbG8=", &err), ERR_DATA);
    assert_string_equal(err.text, "webhook secret: 5 bytes, must be 24 to 64");
    assert_int_equal(sign_key_parse(&key, "whsec_!!!!", &err), ERR_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_signature_equals_the_official_library),
        cmocka_unit_test(two_secrets_give_two_signatures),
        cmocka_unit_test(a_bad_secret_is_refused_and_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
