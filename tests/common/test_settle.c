#include "common/settle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/test.h"

/* Somebody who writes a part of the file at each of the next `parts` waits. */
struct writer {
    char path[64];
    int parts;
    int waited_ms;
};

static void append(const char *path, const char *text)
{
    FILE *file = fopen(path, "ae");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void write_on(void *context, int ms)
{
    struct writer *writer = context;
    writer->waited_ms += ms;
    if (writer->parts-- > 0)
        append(writer->path, "more\n");
}

static void begin(struct writer *writer, int parts)
{
    *writer = (struct writer){.path = "/tmp/assay-settle-XXXXXX", .parts = parts};
    int fd = mkstemp(writer->path);
    assert_true(fd >= 0);
    close(fd);
    append(writer->path, "first\n");
}

static int64_t wall_ms(void *context)
{
    return *(int64_t *)context;
}

/* Now is so long after the file was written last. */
static int64_t after(const struct writer *writer, int64_t ms)
{
    struct stat file;
    assert_int_equal(stat(writer->path, &file), 0);
    return (int64_t)file.st_mtim.tv_sec * 1000 + file.st_mtim.tv_nsec / 1000000 + ms;
}

static int settle(struct writer *writer, int64_t age_ms, struct err *err)
{
    int64_t now = after(writer, age_ms);
    const struct clock clock = {.context = &now, .wall_ms = wall_ms, .boot_ms = wall_ms};
    return file_settle(writer->path, &clock, write_on, writer, err);
}

static void what_was_written_before_is_settled_at_once(void **state)
{
    (void)state;
    struct writer writer;
    begin(&writer, 0);

    assert_int_equal(settle(&writer, 200, NULL), 0);

    assert_int_equal(writer.waited_ms, 0);
    unlink(writer.path);
}

static void what_is_being_written_is_waited_for_to_its_end(void **state)
{
    (void)state;
    struct writer writer;
    char text[64] = "";
    begin(&writer, 2);

    assert_int_equal(settle(&writer, 0, NULL), 0);

    assert_int_equal(writer.waited_ms, 600); /* twice more, then nothing */
    FILE *file = fopen(writer.path, "re");
    assert_int_equal(fread(text, 1, sizeof(text) - 1, file), strlen("first\nmore\nmore\n"));
    fclose(file);
    assert_string_equal(text, "first\nmore\nmore\n");
    unlink(writer.path);
}

static void what_never_ends_is_refused_and_told_how_to_do_it(void **state)
{
    (void)state;
    struct writer writer;
    struct err err = {0};
    char expected[200];
    begin(&writer, 1000);

    assert_int_equal(settle(&writer, 0, &err), -EBUSY);

    snprintf(expected, sizeof(expected),
             "%s is still being written: write it beside its place, and move it there",
             writer.path);
    assert_string_equal(err.text, expected);
    assert_int_equal(writer.waited_ms, 5000);
    unlink(writer.path);
}

static void a_time_yet_to_come_is_no_reason_to_wait_for_ever(void **state)
{
    (void)state;
    struct writer writer;
    begin(&writer, 0);

    assert_int_equal(settle(&writer, -3600000, NULL), 0);

    assert_int_equal(writer.waited_ms, 200);
    unlink(writer.path);
}

static void who_reads_a_file_that_is_not_there_says_so(void **state)
{
    (void)state;
    int64_t now = 0;
    struct writer writer = {.parts = 0};
    const struct clock clock = {.context = &now, .wall_ms = wall_ms, .boot_ms = wall_ms};

    assert_int_equal(file_settle("/nowhere/assay.yaml", &clock, write_on, &writer, NULL), 0);

    assert_int_equal(writer.waited_ms, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_before_is_settled_at_once),
        cmocka_unit_test(what_is_being_written_is_waited_for_to_its_end),
        cmocka_unit_test(what_never_ends_is_refused_and_told_how_to_do_it),
        cmocka_unit_test(a_time_yet_to_come_is_no_reason_to_wait_for_ever),
        cmocka_unit_test(who_reads_a_file_that_is_not_there_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
