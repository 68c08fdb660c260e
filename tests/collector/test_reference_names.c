#include "collector/reference_names.h"

#include <stdio.h>
#include <string.h>

#include "stats/metric.h"
#include "tests/test.h"

static void add(struct reference_names *names, const char *text)
{
    const struct view view = {text, strlen(text)};
    assert_int_equal(reference_names_add(names, view, class_id(text, view.size), NULL), 0);
}

static void a_text_is_kept_once_and_given_to_the_reference(void **state)
{
    (void)state;
    struct reference_names names = {0};
    struct fitted *fitted = calloc(1, sizeof(*fitted));
    assert_non_null(fitted);
    add(&names, "berlin");
    add(&names, "paris");
    add(&names, "berlin");

    reference_names_give(&names, &fitted->names, &fitted->n_names);
    reference_names_finish(&names);

    assert_int_equal(fitted->n_names, 2);
    assert_string_equal(fitted->names[0].text, "berlin");
    assert_true(fitted->names[1].id == class_id("paris", 5));
    fitted_free(fitted);
}

static void a_file_of_nothing_but_names_leaves_the_stream_room_for_its_own(void **state)
{
    (void)state;
    struct reference_names names = {0};
    char text[16];
    for (int i = 0; i < REFERENCE_NAMES + 7; i++) {
        snprintf(text, sizeof(text), "c%d", i);
        add(&names, text);
    }
    assert_int_equal(names.n, REFERENCE_NAMES);
    reference_names_finish(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_kept_once_and_given_to_the_reference),
        cmocka_unit_test(a_file_of_nothing_but_names_leaves_the_stream_room_for_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
