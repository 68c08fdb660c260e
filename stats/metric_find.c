/*
 * From a name to its row. Three forms of rows: `accuracy` stands for itself, `precision{class=`
 * for any `precision{class="…"}`, `ndcg_k` for any `ndcg_10`.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "stats/metric.h"

enum {
    MAX_K = 1000000,
    MAX_WORDS = 256
};

/* `"x"}` with \" \\ \n inside: the id of x into *argument. */
static bool parse_label(const char *text, uint64_t *argument)
{
    char value[sizeof(((struct metric_ref *)0)->text)];
    size_t n = 0;
    if (*text++ != '"')
        return false;
    while (*text && *text != '"') {
        char c = *text++;
        if (c == '\\') {
            c = *text++;
            if (c == 'n')
                c = '\n';
            else if (c != '"' && c != '\\')
                return false;
        }
        if (n == sizeof(value))
            return false;
        value[n++] = c;
    }
    if (strcmp(text, "\"}") != 0)
        return false;
    *argument = class_id(value, n);
    return true;
}

static bool parse_k(const char *text, uint64_t *argument)
{
    int64_t k;
    if (text[0] < '1' || text[0] > '9' || int_parse(&k, text, strlen(text)) || k > MAX_K)
        return false;
    *argument = (uint64_t)k;
    return true;
}

const char *metric_estimated(const char *name)
{
    static const char prefix[] = "estimated_";
    return strncmp(name, prefix, sizeof(prefix) - 1) == 0 ? name + sizeof(prefix) - 1 : NULL;
}

static bool row_matches(const struct metric_def *def, const char *name, uint64_t *argument)
{
    const size_t n = strlen(def->name);
    *argument = 0;
    if (strcmp(def->name, name) == 0)
        return def->name[n - 1] != '=' && strcmp(def->name + n - 2, "_k") != 0;
    if (def->name[n - 1] == '=')
        return strncmp(def->name, name, n) == 0 && parse_label(name + n, argument);
    if (n > 2 && strcmp(def->name + n - 2, "_k") == 0)
        return strncmp(def->name, name, n - 1) == 0 && parse_k(name + n - 1, argument);
    return false;
}

/* A part of a metric's name, or more than it: auc, f1_score. Estimates go without saying. */
static bool is_part(const char *name, const char *word)
{
    return strlen(name) > 2 && strncmp(word, "estimated_", 10) != 0 &&
           (strstr(word, name) || strstr(name, word));
}

/* Up to three names that share a part with this one: "pr_auc or roc_auc"; "" without any. */
static void related(char *out, size_t n, const char *name, const char *const *words, size_t n_words)
{
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0, found = 0; i < n_words && found < 3 && at < n; i++)
        if (is_part(name, words[i]))
            at += (size_t)snprintf(out + at, n - at, "%s%s", found++ ? " or " : "", words[i]);
}

/* How a row is written in messages and lists: `precision{class="…"}`. */
static int unknown(const char *name, enum task task, struct err *err)
{
    const char *words[MAX_WORDS];
    size_t n_words = 0, n;
    const struct metric_def *table = metric_table(&n);
    for (size_t i = 0; i < n && n_words < MAX_WORDS; i++)
        if (table[i].tasks >> task & 1)
            words[n_words++] = table[i].name;
    const char *near = text_near(name, words, n_words);
    char some[200];
    related(some, sizeof(some), name, words, n_words);
    if (!near && some[0])
        return err_set(err, -EINVAL, "metric '%.100s' is unknown; did you mean %s?", name, some);
    if (!near)
        return err_set(err, -EINVAL, "metric '%.100s' is unknown; docs/metrics.md lists them",
                       name);
    const bool family = near[strlen(near) - 1] == '=';
    return err_set(err, -EINVAL, "metric '%.100s' is unknown; did you mean '%s%s'?", name, near,
                   family ? "\"…\"}" : "");
}

int metric_find(struct metric_ref *out, const char *name, enum task task, struct err *err)
{
    if (strlen(name) >= sizeof(out->text))
        return err_set(err, -EINVAL, "metric '%.40s…' is longer than %zu bytes", name,
                       sizeof(out->text) - 1);
    size_t n;
    const struct metric_def *table = metric_table(&n);
    unsigned elsewhere = 0;
    uint64_t argument = 0;
    for (size_t i = 0; i < n; i++) {
        if (!row_matches(&table[i], name, &argument))
            continue;
        if (!(table[i].tasks >> task & 1)) {
            elsewhere |= table[i].tasks;
            continue;
        }
        out->def = &table[i];
        out->argument = argument;
        snprintf(out->text, sizeof(out->text), "%s", name);
        return 0;
    }
    for (int t = 0; t < N_TASKS; t++)
        if (elsewhere >> t & 1)
            return err_set(err, -EINVAL, "metric '%.100s' is one of %s models, not of %s ones",
                           name, task_name(t), task_name(task));
    return unknown(name, task, err);
}
