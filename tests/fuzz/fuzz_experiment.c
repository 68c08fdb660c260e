/* Any text as an experiment object: what is taken prints to text that parses to the same again. */
#include <assert.h>
#include <string.h>

#include <jansson.h>

#include "abtest/experiment.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct experiment *experiment = NULL, *again = NULL;
    struct err err = {0};

    if (experiment_parse_text(&experiment, (const char *)bytes, n, &err) != 0) {
        assert(err.text[0] != '\0');
        return 0;
    }
    json_t *printed = experiment_print(experiment);
    assert(printed);
    assert(experiment_parse(&again, printed, &err) == 0);
    json_t *second = experiment_print(again);
    assert(second && json_equal(printed, second));
    json_decref(printed);
    json_decref(second);
    experiment_free(experiment);
    experiment_free(again);
    return 0;
}
