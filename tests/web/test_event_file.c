/* TensorBoard's files, byte for byte; that TensorBoard reads them: tests/integration/90_feeds.py.
 */
#include "web/event_file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/test.h"
#include "tests/web/site.h"

static char directory[64];

static int make_directory(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/assay-events-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    char command[100];
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    return system(command);
}

/* The one file of a run as hexadecimal text. */
static char *hex_of(const char *run)
{
    DIR *dir = opendir(run);
    assert_non_null(dir);
    char path[400] = "";
    for (struct dirent *entry; (entry = readdir(dir));)
        if (strncmp(entry->d_name, "events.out.tfevents.1700000000.", 31) == 0)
            snprintf(path, sizeof(path), "%s/%s", run, entry->d_name);
    closedir(dir);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    unsigned char bytes[4096];
    size_t n = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    char *hex = malloc(2 * n + 1);
    for (size_t i = 0; i < n; i++)
        sprintf(hex + 2 * i, "%02x", bytes[i]);
    hex[2 * n] = '\0';
    return hex;
}

static void the_check_value_of_crc32c_comes_out(void **state)
{
    (void)state;
    assert_int_equal(crc32c("123456789", 9), 0xe3069283);
    assert_int_equal(crc32c("", 0), 0);
}

static void a_scalar_is_written_as_tensorboard_reads_it(void **state)
{
    (void)state;
    AUTO(event_file) struct event_file *file = NULL;
    struct err err = {0};
    char run[100];
    snprintf(run, sizeof(run), "%s/credit/v3", directory);
    must(event_file_new(&file, run, INT64_C(1700000000000), &err), &err);
    event_begin(file, 1, 1700000000.0);
    event_scalar(file, "auc", 0.5);
    must(event_end(file, &err), &err);
    event_begin(file, 2, 1700003600.0);
    must(event_end(file, &err), &err); /* nothing in it: nothing written */

    char *hex = hex_of(run);

    /* by protoc from event.proto: version record; tag, metadata {scalars, class 1}, tensor 0.5 */
    const char *header = "1800000000000000a37f4b220900000040fc54d9411a0d627261696e2e4576656e743a32"
                         "eced8f9d";
    const char *event = "0900000040fc54d94110012a220a200a036175634a0d0a090a077363616c6172732001420a"
                        "0801120022040000003f";
    assert_int_equal(strncmp(hex, header, strlen(header)), 0);
    assert_int_equal(strncmp(hex + strlen(header), "2f000000000000006d5d1d50", 24), 0);
    assert_string_equal(hex + strlen(header) + 24 + strlen(event), "db4fc6a2");
    assert_int_equal(strncmp(hex + strlen(header) + 24, event, strlen(event)), 0);
    free(hex);
}

static void a_histogram_has_a_row_of_three_numbers_a_bucket(void **state)
{
    (void)state;
    AUTO(event_file) struct event_file *file = NULL;
    struct err err = {0};
    must(event_file_new(&file, directory, INT64_C(1700000000000), &err), &err);
    const double buckets[][3] = {{0, 1, 5}, {1, 2, 7}};
    event_begin(file, 7, 1.0);
    event_histogram(file, "h", buckets, 2);
    must(event_end(file, &err), &err);

    char *hex = hex_of(directory);

    assert_non_null(strstr(hex, "0a0a686973746f6772616d73"));     /* plugin_name: histograms */
    assert_non_null(strstr(hex, "0802120812020802120208032230")); /* DOUBLE, [2,3], 48 bytes */
    assert_non_null(strstr(hex, "0000000000000000000000000000f03f0000000000001440"
                                "000000000000f03f00000000000000400000000000001c40"));
    free(hex);
}

static void a_place_that_cannot_be_written_is_named(void **state)
{
    (void)state;
    AUTO(event_file) struct event_file *file = NULL;
    struct err err = {0};

    assert_true(event_file_new(&file, "/proc/none/run", 1, &err) < 0);

    assert_string_equal(err.text, "/proc/none: No such file or directory");
    assert_null(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_check_value_of_crc32c_comes_out),
        cmocka_unit_test_setup_teardown(a_scalar_is_written_as_tensorboard_reads_it, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(a_histogram_has_a_row_of_three_numbers_a_bucket,
                                        make_directory, remove_directory),
        cmocka_unit_test(a_place_that_cannot_be_written_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
