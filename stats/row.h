/*
 * One event's features side by side, for models that look at all of them together.
 *
 * Shape    one value a feature, in the order of the model: number (NaN: missing) for numeric ones,
 *          category id (0: missing) for categorical ones
 */
#pragma once

#include <stdint.h>

struct row_value {
    double number;
    uint64_t category;
};
