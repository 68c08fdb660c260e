/*
 * A header that comes with a message: Kafka's, or an HTTP one with its name in lower case and `ce-`
 * written `ce_`.
 *
 * Owner    borrowed, as the message
 */
#pragma once

#include "common/view.h"

struct header {
    const char *name;
    struct view value;
};
