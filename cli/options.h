/*
 * Command-line words → values, the same way for each subcommand.
 *
 * Shape    options are `--name VALUE`, `--name=VALUE`, `--flag`, `-c VALUE`; the rest is
 * positional;
 *          `--` ends options
 * Owner    values point into argv
 * Errors   ERR_USAGE names the word and, for an unknown one, the near option
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

struct option_row {
    const char *name;   /* without "--" */
    char letter;        /* 'c' for -c, 0 for none */
    const char **value; /* takes a value … */
    bool *flag;         /* … or is a flag */
};

struct arguments {
    const char **words; /* the positional ones; in argv's memory */
    int n;
};

/* Reads argv[1..]; moves the positional words to the front of argv. */
int options_parse(const struct option_row *rows, size_t n_rows, int argc, char **argv,
                  struct arguments *out, struct err *err);

/* A whole number from text with its option's name in the message. */
int options_number(const char *name, const char *text, long low, long high, long *out,
                   struct err *err);

/* Prints `assay: MESSAGE` and gives the exit code that belongs to it (contract §3). */
int fail(const struct err *err);
enum {
    EXIT_USAGE = 64,
    EXIT_DATA = 65,
    EXIT_IO = 74
};
