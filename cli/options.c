#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

static const struct option_row *find_row(const struct option_row *rows, size_t n_rows,
                                         const char *word)
{
    for (size_t i = 0; i < n_rows; i++) {
        if (word[1] == '-') {
            size_t n = strcspn(word + 2, "=");
            if (strlen(rows[i].name) == n && memcmp(rows[i].name, word + 2, n) == 0)
                return &rows[i];
        } else if (rows[i].letter && word[1] == rows[i].letter && word[2] == '\0') {
            return &rows[i];
        }
    }
    return NULL;
}

static int unknown_option(const struct option_row *rows, size_t n_rows, const char *word,
                          struct err *err)
{
    const char *names[64];
    size_t n = 0;
    for (size_t i = 0; i < n_rows && n < 64; i++)
        names[n++] = rows[i].name;
    const char *near = text_near(word + strspn(word, "-"), names, n);
    if (near)
        return err_set(err, ERR_USAGE, "unknown option %s; did you mean --%s?", word, near);
    return err_set(err, ERR_USAGE, "unknown option %s; see `assay help`", word);
}

int options_parse(const struct option_row *rows, size_t n_rows, int argc, char **argv,
                  struct arguments *out, struct err *err)
{
    int n = 0;
    bool only_words = false;
    for (int i = 1; i < argc; i++) {
        char *word = argv[i];
        if (only_words || word[0] != '-' || word[1] == '\0') {
            argv[n++] = word;
            continue;
        }
        if (strcmp(word, "--") == 0) {
            only_words = true;
            continue;
        }
        const struct option_row *row = find_row(rows, n_rows, word);
        if (!row)
            return unknown_option(rows, n_rows, word, err);
        const char *equals = word[1] == '-' ? strchr(word, '=') : NULL;
        if (row->flag) {
            if (equals)
                return err_set(err, ERR_USAGE, "--%s takes no value", row->name);
            *row->flag = true;
        } else if (equals) {
            *row->value = equals + 1;
        } else if (i + 1 < argc) {
            *row->value = argv[++i];
        } else {
            return err_set(err, ERR_USAGE, "--%s needs a value", row->name);
        }
    }
    argv[n] = NULL;
    *out = (struct arguments){(const char **)(void *)argv, n};
    return 0;
}

int options_number(const char *name, const char *text, long low, long high, long *out,
                   struct err *err)
{
    char *end = NULL;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < low || value > high)
        return err_set(err, ERR_USAGE, "--%s: \"%s\" is not a whole number in %ld..%ld", name, text,
                       low, high);
    *out = value;
    return 0;
}

int fail(const struct err *err)
{
    fprintf(stderr, "assay: %s\n", err->text);
    switch (err->code) {
    case ERR_USAGE:
        return EXIT_USAGE;
    case ERR_DATA:
    case ERR_CORRUPT:
    case ERR_NEWER:
    case ERR_NOT_FOUND:
        return EXIT_DATA;
    default:
        return EXIT_IO;
    }
}
