/* docs/metrics.md against the table: every row has its line, every line its row. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stats/metric.h"
#include "tests/test.h"

enum {
    PAGE_BYTES = 1 << 17,
    LINE_BYTES = 1024
};

static char *page_read(void)
{
    char path[4096];
    const char *source = getenv("ASSAY_SOURCE");
    snprintf(path, sizeof(path), "%s/docs/metrics.md", source ? source : ".");
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *page = calloc(1, PAGE_BYTES);
    assert_non_null(page);
    assert_in_range(fread(page, 1, PAGE_BYTES - 1, file), 1000, PAGE_BYTES - 2);
    fclose(file);
    return page;
}

static const char *better_name(enum better better)
{
    return better == BETTER_HIGHER ? "higher" : better == BETTER_LOWER ? "lower" : "–";
}

/* Does this line of the page say what the row says? |x| is written ¦x¦ there. */
static bool line_is_of(const char *line, const struct metric_def *def, const char *task)
{
    char start[LINE_BYTES], rest[LINE_BYTES], help[LINE_BYTES] = "";
    const bool family = def->name[strlen(def->name) - 1] == '=';
    snprintf(start, sizeof(start), "| `%s%s` | ", def->name, family ? "\"…\"}" : "");
    for (const char *at = def->help; *at; at++)
        strncat(help, *at == '|' ? "¦" : (char[2]){*at, 0}, sizeof(help) - strlen(help) - 1);
    snprintf(rest, sizeof(rest), "| %s | %s | %s | ", def->unit, better_name(def->better), help);
    if (strncmp(line, start, strlen(start)) != 0)
        return false;
    const char *tasks = line + strlen(start), *end = strchr(tasks, '|');
    if (!end || strncmp(end, rest, strlen(rest)) != 0)
        return false;
    char list[LINE_BYTES];
    snprintf(list, sizeof(list), "%.*s", (int)(end - tasks), tasks);
    return strcmp(list, "every ") == 0 || strstr(list, task);
}

static bool page_has(const char *page, const struct metric_def *def, const char *task)
{
    for (const char *line = page; line; line = strchr(line, '\n'))
        if (line_is_of(line += *line == '\n', def, task))
            return true;
    return false;
}

static void every_row_of_the_table_has_its_line(void **state)
{
    (void)state;
    char *page = page_read();
    size_t n;
    const struct metric_def *table = metric_table(&n);
    for (size_t i = 0; i < n; i++)
        for (int task = 0; task < N_TASKS; task++)
            if (table[i].tasks >> task & 1 &&
                strcmp(table[i].help, "Not defined for this task.") != 0 &&
                !page_has(page, &table[i], task_name((enum task)task)))
                fail_msg("docs/metrics.md has no line for %s of %s models: unit %s, better %s, "
                         "help \"%s\"",
                         table[i].name, task_name((enum task)task), table[i].unit,
                         better_name(table[i].better), table[i].help);
    free(page);
}

static bool table_has(const char *name)
{
    size_t n;
    const struct metric_def *table = metric_table(&n);
    for (size_t i = 0; i < n; i++) {
        const size_t length = strlen(table[i].name);
        if (strcmp(table[i].name, name) == 0 ||
            (table[i].name[length - 1] == '=' && strncmp(table[i].name, name, length) == 0))
            return true;
    }
    return false;
}

static void every_line_of_the_page_has_its_row(void **state)
{
    (void)state;
    char *page = page_read(), name[LINE_BYTES];
    int lines = 0;
    for (const char *line = page; (line = strstr(line, "\n| `")); line++) {
        assert_int_equal(sscanf(line, "\n| `%1023[^`]`", name), 1);
        if (!table_has(name))
            fail_msg("docs/metrics.md tells of '%s', which is no metric", name);
        lines++;
    }
    assert_true(lines > 60);
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_of_the_table_has_its_line),
        cmocka_unit_test(every_line_of_the_page_has_its_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
