#include "bench/kept_runs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stats/sample.h"

enum {
    MAX_ROWS = 256
};

struct kept_runs {
    FILE *file;   /* NULL: nothing is kept */
    time_t until; /* 0: no limit */
    struct kept_row *rows[MAX_ROWS];
    int n;
};

struct kept_row *kept_row(struct kept_runs *kept, const char *name)
{
    for (int i = 0; i < kept->n; i++)
        if (strcmp(kept->rows[i]->name, name) == 0)
            return kept->rows[i];
    struct kept_row *row = kept->n < MAX_ROWS ? calloc(1, sizeof(*row)) : NULL;
    if (!row)
        return NULL;
    snprintf(row->name, sizeof(row->name), "%s", name);
    kept->rows[kept->n++] = row;
    return row;
}

static void take(struct kept_row *row, double number)
{
    row->sum += number;
    row->squares += number * number;
    row->n++;
}

/* A line is the number, a space, and the row's name; one that was cut off is left out. */
static bool read_lines(struct kept_runs *kept)
{
    char line[128];
    while (fgets(line, sizeof(line), kept->file)) {
        char *end, *newline = strchr(line, '\n');
        double number = strtod(line, &end);
        if (!newline || end == line || *end != ' ')
            continue;
        *newline = '\0';
        struct kept_row *row = kept_row(kept, end + 1);
        if (!row)
            return false;
        take(row, number);
    }
    return true;
}

struct kept_runs *kept_open(const char *path, int seconds)
{
    struct kept_runs *kept = calloc(1, sizeof(*kept));
    if (!kept)
        return NULL;
    kept->until = seconds > 0 ? time(NULL) + seconds : 0;
    if (!path)
        return kept;
    kept->file = fopen(path, "a+");
    if (!kept->file || !read_lines(kept)) {
        perror(path);
        kept_close(kept);
        return NULL;
    }
    return kept;
}

void kept_close(struct kept_runs *kept)
{
    if (!kept)
        return;
    if (kept->file)
        fclose(kept->file);
    for (int i = 0; i < kept->n; i++)
        free(kept->rows[i]);
    free(kept);
}

bool kept_wants(const struct kept_runs *kept, const struct kept_row *row, int n)
{
    return row->n < n && (!kept->until || time(NULL) < kept->until);
}

uint64_t kept_seed(const struct kept_row *row)
{
    return class_id(row->name, strlen(row->name)) + (uint64_t)row->n;
}

void kept_add(struct kept_runs *kept, struct kept_row *row, double number)
{
    take(row, number);
    if (kept->file && fprintf(kept->file, "%.17g %s\n", number, row->name) > 0)
        fflush(kept->file);
}

double kept_mean(const struct kept_row *row)
{
    return row->sum / row->n;
}

double kept_error(const struct kept_row *row)
{
    double mean = kept_mean(row);
    return sqrt((row->squares / row->n - mean * mean) / row->n);
}
