#include "common/log.h"

#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "tests/test.h"

static int64_t fixed_wall_ms(void *context)
{
    (void)context;
    return 1700000000123;
}
static const struct clock fixed_clock = {NULL, fixed_wall_ms, fixed_wall_ms};

/* A log into a pipe, and what came out of it. */
struct capture {
    int ends[2];
    struct log log;
    char text[8192];
};

static void capture_start(struct capture *capture)
{
    assert_int_equal(pipe(capture->ends), 0);
    capture->log = (struct log){capture->ends[1], LEVEL_INFO, &fixed_clock};
}

static const char *capture_stop(struct capture *capture)
{
    close(capture->ends[1]);
    ssize_t n = read(capture->ends[0], capture->text, sizeof(capture->text) - 1);
    assert_true(n >= 0);
    capture->text[n] = 0;
    close(capture->ends[0]);
    return capture->text;
}

static void a_line_is_time_level_room_message_and_fields(void **state)
{
    (void)state;
    struct capture capture;
    capture_start(&capture);

    log_write_fields(&capture.log, LEVEL_WARNING, "collector",
                     LOG_FIELDS(LOG_TEXT("topic", "labels"), LOG_TEXT("left_out", NULL),
                                LOG_NUMBER("partition", 3)),
                     "broker %d is away", 7);

    assert_string_equal(capture_stop(&capture),
                        "2023-11-14T22:13:20.123Z level=warning room=collector "
                        "msg=\"broker 7 is away\" topic=labels partition=3\n");
}

static void lines_above_the_level_and_a_log_of_null_are_silent(void **state)
{
    (void)state;
    struct capture capture;
    capture_start(&capture);
    log_write(&capture.log, LEVEL_DEBUG, "web", "not wanted");
    log_write(NULL, LEVEL_ERROR, "web", "nowhere to go");
    log_write(&capture.log, LEVEL_INFO, "web", "wanted");
    assert_string_equal(capture_stop(&capture),
                        "2023-11-14T22:13:20.123Z level=info room=web msg=wanted\n");
}

static void no_input_can_forge_a_line_or_a_colour(void **state)
{
    (void)state;
    struct capture capture;
    capture_start(&capture);
    capture.log.clock = NULL;
    log_write_fields(&capture.log, LEVEL_ERROR, "web",
                     LOG_FIELDS(LOG_TEXT("model", "a\nlevel=info\x1b[31m\"\\"),
                                LOG_TEXT("city", "K\xc3\xb6ln"), LOG_TEXT("bad", "\xff"),
                                LOG_TEXT("c1", "\xc2\x9b"), LOG_TEXT("empty", "")),
                     "x");
    assert_string_equal(capture_stop(&capture),
                        "level=error room=web msg=x model=\"a\\nlevel=info\\x1b[31m\\\"\\\\\" "
                        "city=\"K\xc3\xb6ln\" bad=\"\\xff\" c1=\"\\xc2\\x9b\" empty=\"\"\n");
}

static void an_endless_value_is_cut_and_the_line_still_ends(void **state)
{
    (void)state;
    struct capture capture;
    capture_start(&capture);
    char endless[6000];
    memset(endless, '\x01', sizeof(endless));
    endless[sizeof(endless) - 1] = 0;
    log_write_fields(&capture.log, LEVEL_ERROR, "web", LOG_FIELDS(LOG_TEXT("reason", endless)),
                     "long");
    const char *text = capture_stop(&capture);
    size_t n = strlen(text);
    assert_true(n <= 4096);
    assert_string_equal(text + n - 4, "\xe2\x80\xa6\n");
    assert_ptr_equal(strchr(text, '\n'), text + n - 1);
}

static void a_repeated_message_is_held_back_and_counted(void **state)
{
    (void)state;
    struct log_limit limit = {.every_ms = 1000};
    uint64_t suppressed = 99;
    assert_true(log_allowed(&limit, 5000, &suppressed));
    assert_int_equal(suppressed, 0);
    assert_false(log_allowed(&limit, 5001, NULL));
    assert_false(log_allowed(&limit, 5999, NULL));
    assert_true(log_allowed(&limit, 6000, &suppressed));
    assert_int_equal(suppressed, 2);
}

static void levels_have_names(void **state)
{
    (void)state;
    assert_int_equal(level_parse("debug"), LEVEL_DEBUG);
    assert_int_equal(level_parse("loud"), -1);
    assert_string_equal(level_name(LEVEL_WARNING), "warning");
    assert_null(level_name(N_LEVELS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_time_level_room_message_and_fields),
        cmocka_unit_test(lines_above_the_level_and_a_log_of_null_are_silent),
        cmocka_unit_test(no_input_can_forge_a_line_or_a_colour),
        cmocka_unit_test(an_endless_value_is_cut_and_the_line_still_ends),
        cmocka_unit_test(a_repeated_message_is_held_back_and_counted),
        cmocka_unit_test(levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
