/*
 * A matcher's text taken apart: `severity="critical"`, `team!~"a|b"`; the quotes are optional.
 *
 * Owner    views into the text
 * Errors   ERR_USAGE quotes the text
 * Source   Alertmanager's matchers
 */
#pragma once

#include "common/err.h"
#include "common/view.h"

struct matcher_text {
    struct view label, value;
    bool negative; /* != and !~ */
    bool is_regex;
};

int matcher_text_parse(struct matcher_text *out, const char *text, struct err *err);
