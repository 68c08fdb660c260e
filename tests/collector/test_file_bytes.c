#include "collector/file_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <zlib.h>

#include "tests/lib/temp_store.h"
#include "tests/test.h"

enum {
    MOST = 200000
};

static void path_in(const struct temp *temp, char path[256])
{
    snprintf(path, 256, "%s/bytes", temp->directory);
}

static void write_file(const char *path, const char *mode, const void *bytes, size_t n)
{
    FILE *out = fopen(path, mode);
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, n, out), n);
    fclose(out);
}

static void write_member(const char *path, const char *mode, const char *text)
{
    gzFile out = gzopen(path, mode);
    assert_non_null(out);
    assert_int_equal(gzputs(out, text), strlen(text));
    gzclose(out);
}

/* All of the file, `step` bytes at most at a time; the error otherwise. */
static int read_all(struct file_bytes *file, size_t step, char *text, struct err *err)
{
    size_t n = 0;
    for (size_t got = 1; got; n += got) {
        assert_true(n + step < MOST);
        int rc = file_bytes_read(file, text + n, step, &got, err);
        if (rc)
            return rc;
    }
    text[n] = 0;
    return 0;
}

static int read_path(const char *path, size_t step, char *text, struct err *err)
{
    struct file_bytes *file = NULL;
    must(file_bytes_open(&file, path, -1, err), err);
    int rc = read_all(file, step, text, err);
    file_bytes_close(file);
    return rc;
}

static void bytes_come_as_they_are_whatever_the_steps(void **state)
{
    (void)state;
    static const char *const contents[] = {"", "x", "\x1f", "two lines\nof text\n"};
    AUTO(temp) struct temp *temp = temp_new();
    static char text[MOST];
    struct err err = {0};
    char path[256];
    path_in(temp, path);

    for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++)
        for (size_t step = 1; step < 40; step += 19) {
            write_file(path, "w", contents[i], strlen(contents[i]));
            must(read_path(path, step, text, &err), &err);
            assert_string_equal(text, contents[i]);
        }
}

static void members_of_a_gzipped_file_are_one_text(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    static char text[MOST];
    struct err err = {0};
    char path[256];
    path_in(temp, path);
    write_member(path, "wb", "first,");
    write_member(path, "ab", "");
    write_member(path, "ab", "second");

    for (size_t step = 1; step < 40; step += 19) {
        must(read_path(path, step, text, &err), &err);
        assert_string_equal(text, "first,second");
    }

    write_file(path, "a", "what follows", 12);
    must(read_path(path, 100, text, &err), &err);
    assert_string_equal(text, "first,second");
}

static void a_damaged_gzipped_file_is_refused_with_the_reason(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    static char text[MOST];
    unsigned char bytes[256];
    struct err err = {0};
    char path[256];
    path_in(temp, path);
    write_member(path, "wb", "some text that is long enough to be damaged, damaged, damaged");
    FILE *in = fopen(path, "rb");
    size_t n = fread(bytes, 1, sizeof(bytes), in);
    fclose(in);

    for (size_t cut = 2; cut < n; cut++) {
        write_file(path, "w", bytes, cut);
        assert_int_equal(read_path(path, 7, text, &err), ERR_DATA);
        assert_non_null(strstr(err.text, "bytes: the compressed file ends in the middle"));
    }
    bytes[n - 5] ^= 1; /* of the checksum */
    write_file(path, "w", bytes, n);
    assert_int_equal(read_path(path, 7, text, &err), ERR_DATA);
    assert_non_null(strstr(err.text, "bytes: incorrect data check"));
    write_file(path, "w", "\x1f\x8bno gzip", 9);
    assert_int_equal(read_path(path, 7, text, &err), ERR_DATA);
    assert_non_null(strstr(err.text, "bytes: unknown compression method"));
}

static void a_file_is_read_again_from_its_beginning(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    static char text[MOST];
    struct err err = {0};
    char path[256];
    path_in(temp, path);

    for (int zipped = 0; zipped < 2; zipped++) {
        struct file_bytes *file = NULL;
        size_t got;
        if (zipped)
            write_member(path, "wb", "once more");
        else
            write_file(path, "w", "once more", 9);
        must(file_bytes_open(&file, path, -1, &err), &err);
        must(file_bytes_read(file, text, 4, &got, &err), &err);
        must(file_bytes_rewind(file, &err), &err);
        must(read_all(file, 100, text, &err), &err);
        assert_string_equal(text, "once more");
        file_bytes_close(file);
    }
}

static void a_silent_pipe_can_be_left(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct file_bytes *file = NULL;
    struct err err = {0};
    char path[256], text[16];
    size_t got;
    path_in(temp, path);
    assert_int_equal(mkfifo(path, 0600), 0);
    AUTO_CLOSE int writer = open(path, O_RDWR | O_CLOEXEC);
    AUTO_CLOSE int stop_fd = eventfd(0, EFD_CLOEXEC);
    must(file_bytes_open(&file, path, stop_fd, &err), &err);
    assert_int_equal(write(writer, "abc", 3), 3);
    must(file_bytes_read(file, text, sizeof(text), &got, &err), &err);
    assert_int_equal(got, 2); /* looked at to see whether it is zipped */
    must(file_bytes_read(file, text, sizeof(text), &got, &err), &err);
    assert_int_equal(got, 1);
    assert_int_equal(file_bytes_size(file), -1);

    assert_int_equal(eventfd_write(stop_fd, 1), 0);

    assert_int_equal(file_bytes_read(file, text, sizeof(text), &got, &err), -ECANCELED);
    assert_int_equal(file_bytes_rewind(file, &err), -ESPIPE);
    assert_non_null(strstr(err.text, "bytes: cannot be read again from its beginning"));
    file_bytes_close(file);
}

static void a_directory_is_no_file_of_events(void **state)
{
    (void)state;
    struct file_bytes *file = NULL;
    struct err err = {0};

    assert_int_equal(file_bytes_open(&file, "/", -1, &err), -EISDIR);
    assert_string_equal(err.text, "/: is a directory, not a file of events");
    assert_null(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_as_they_are_whatever_the_steps),
        cmocka_unit_test(members_of_a_gzipped_file_are_one_text),
        cmocka_unit_test(a_damaged_gzipped_file_is_refused_with_the_reason),
        cmocka_unit_test(a_file_is_read_again_from_its_beginning),
        cmocka_unit_test(a_silent_pipe_can_be_left),
        cmocka_unit_test(a_directory_is_no_file_of_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
