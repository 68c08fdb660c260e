/*
 * Numbers that a bench measured again and again, kept in a file, so that a long table can be made
 * in pieces.
 *
 * Shape    a row has a name and so many numbers; the file holds a line each. Number i of a row is
 *          drawn by a seed of its own (kept_seed), so that pieces give what one piece would give.
 *          Delete the file after a change of what is measured
 * Units    seconds: of the wall clock, from kept_open on
 * Owner    kept_open gives, kept_close takes; rows live as long
 * Errors   NULL: no memory, or the file cannot be used, and standard error says why
 * Threads  one
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct kept_row {
    char name[80];
    double sum, squares;
    int n;
};

struct kept_runs;
/* Without a path nothing is kept; seconds 0: no limit. */
struct kept_runs *kept_open(const char *path, int seconds);
void kept_close(struct kept_runs *kept);

/* NULL: no memory. */
struct kept_row *kept_row(struct kept_runs *kept, const char *name);
/* Is a number missing, and is there time for it? */
bool kept_wants(const struct kept_runs *kept, const struct kept_row *row, int n);
uint64_t kept_seed(const struct kept_row *row);
void kept_add(struct kept_runs *kept, struct kept_row *row, double number);

double kept_mean(const struct kept_row *row);
/* Standard error of the mean. */
double kept_error(const struct kept_row *row);
