/*
 * What a gate said, in the form that a pipeline reads.
 *
 * Shape    json: the answer as it came · text: a line, and one for each reason · junit: a test for
 *          the gate and one for each metric of the experiment · github: annotations of a workflow ·
 *          env: ASSAY_RESULT and ASSAY_REASON, as a dotenv file
 * Owner    a report borrows all
 * Errors   ERR_USAGE: an unknown form, with the near one · ERR_IO: a file that cannot be written
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "common/err.h"

enum gate_code { /* exit codes (contract §3) */
    GATE_PASS = 0,
    GATE_FAIL = 1,
    GATE_USAGE = 2,
    GATE_UNDECIDED = 3,
    GATE_UNREACHED = 4,
};

enum gate_format {
    GATE_JSON,
    GATE_TEXT,
    GATE_JUNIT,
    GATE_GITHUB,
    GATE_ENV,
};

struct gate_report {
    const char *kind, *name; /* experiment | model */
    enum gate_code code;
    double seconds;
    const char *answer, *reason; /* as it came; the first reason, or why it was not reached */
    const json_t *reasons;       /* NULL: none */
    const json_t *metrics;       /* of an experiment's verdict; NULL: none */
};

int gate_format_parse(enum gate_format *out, const char *text, struct err *err);
void gate_print(FILE *out, const struct gate_report *report, enum gate_format format);
int gate_write_junit(const char *path, const struct gate_report *report, struct err *err);

/* TFX's blessing: the empty file BLESSED when it passed, else NOT_BLESSED; the other is removed. */
int gate_bless(const char *folder, const struct gate_report *report, struct err *err);
