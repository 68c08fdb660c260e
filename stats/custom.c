#include "stats/custom.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "stats/expr.h"
#include "stats/metric_common.h"
#include "stats/metric_outcome.h"
#include "stats/metric_result.h"

enum {
    MAX_NAME = 100,
    MAX_RULES = 1000,
    MAX_WORDS = 256,
    MAX_LEVELS = 8,  /* formulas in formulas */
    MAX_COST = 4096, /* metrics that one value may have to read */
};

struct operand {                /* a name in a formula */
    struct metric_ref builtin;  /* def NULL: the custom metric below */
    struct metric_ref expected; /* before the labels come; def NULL: there is no such estimate */
    int custom;
};

struct custom_metric {
    char name[MAX_NAME + 1];
    struct expr *expr; /* NULL: an outcome rule */
    struct operand *operands;
    size_t n_operands;
    int levels, cost;
    bool estimable; /* every name in it has an estimate, or needs no labels */
    uint64_t outcome_id;
    enum outcome_agg agg;
    enum outcome_per per;
};

struct custom_set {
    enum task task;
    size_t n;
    struct custom_metric metrics[];
};

void custom_set_free(struct custom_set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->n; i++) {
        expr_free(set->metrics[i].expr);
        free(set->metrics[i].operands);
    }
    free(set);
}

static int find_custom(const struct custom_set *set, const char *name)
{
    for (size_t i = 0; set && i < set->n; i++)
        if (strcmp(set->metrics[i].name, name) == 0)
            return (int)i;
    return -1;
}

static bool is_name(const char *name)
{
    if (!isalpha((unsigned char)name[0]) && name[0] != '_')
        return false;
    for (const char *at = name; *at; at++)
        if (!isalnum((unsigned char)*at) && *at != '_')
            return false;
    return true;
}

static int check_name(const struct custom_set *set, const char *name, struct err *err)
{
    struct metric_ref ref;
    if (!name || strlen(name) > MAX_NAME || !is_name(name))
        return err_set(err, -EINVAL,
                       "metric '%.40s': a name is up to %d letters, digits and _, no digit first",
                       name ? name : "", MAX_NAME);
    if (strcmp(name, "min") == 0 || strcmp(name, "max") == 0)
        return err_set(err, -EINVAL, "metric '%s': that is a function of formulas", name);
    if (metric_find(&ref, name, set->task, NULL) == 0)
        return err_set(err, -EINVAL, "metric '%s': a built-in metric has this name", name);
    if (find_custom(set, name) >= 0)
        return err_set(err, -EINVAL, "metric '%s': defined twice", name);
    return 0;
}

static const char prefix[] = "estimated_";

/* The estimate of a built-in metric: one of its own, or itself where it needs no labels. */
static bool expect(struct metric_ref *out, const struct metric_ref *metric, enum task task)
{
    char name[sizeof(out->text)];
    if (metric->def->state == &common_kind || metric->def->state == &outcome_kind) {
        *out = *metric;
        return true;
    }
    if (snprintf(name, sizeof(name), "%s%s", prefix, metric->text) < (int)sizeof(name) &&
        metric_find(out, name, task, NULL) == 0)
        return true;
    out->def = NULL;
    return false;
}

struct naming {                   /* while a formula is parsed */
    const struct custom_set *set; /* the metrics before this one */
    const struct custom_rule *rules;
    size_t n_rules;
    struct custom_metric *metric;
};

static int resolve(void *context, const char *name, struct err *err)
{
    struct naming *naming = context;
    struct operand operand = {.custom = find_custom(naming->set, name)};
    if (operand.custom < 0) {
        for (size_t i = 0; i < naming->n_rules; i++)
            if (naming->rules[i].name && strcmp(naming->rules[i].name, name) == 0)
                return err_set(err, -EINVAL, "'%s' must be defined before it is used", name);
        const int rc = metric_find(&operand.builtin, name, naming->set->task, err);
        if (rc)
            return rc;
    }
    struct custom_metric *metric = naming->metric;
    const struct custom_metric *inner =
        operand.custom >= 0 ? &naming->set->metrics[operand.custom] : NULL;
    metric->estimable &= inner ? !inner->expr || inner->estimable
                               : expect(&operand.expected, &operand.builtin, naming->set->task);
    metric->cost += 1 + (inner ? inner->cost : 0);
    if (inner && inner->levels >= metric->levels)
        metric->levels = inner->levels + 1;
    if (metric->cost > MAX_COST || metric->levels > MAX_LEVELS)
        return err_set(err, -EINVAL, "'%s' makes it read more than %d metrics or %d levels", name,
                       MAX_COST, MAX_LEVELS);
    struct operand *operands =
        realloc(metric->operands, (metric->n_operands + 1) * sizeof(*operands));
    if (!operands)
        return err_set(err, -ENOMEM, "no memory for a formula");
    metric->operands = operands;
    operands[metric->n_operands] = operand;
    return (int)metric->n_operands++;
}

static int add_rule(struct custom_set *set, const struct custom_rule *rules, size_t n_rules,
                    size_t index, struct err *err)
{
    const struct custom_rule *rule = &rules[index];
    int rc = check_name(set, rule->name, err);
    if (rc)
        return rc;
    if (!rule->outcome == !rule->expr)
        return err_set(err, -EINVAL, "metric '%s': give exactly one of outcome and expr",
                       rule->name);
    struct custom_metric *metric = &set->metrics[set->n];
    memcpy(metric->name, rule->name, strlen(rule->name) + 1);
    metric->agg = rule->agg;
    metric->per = rule->per;
    if (rule->outcome) {
        if (!*rule->outcome)
            return err_set(err, -EINVAL, "metric '%s': outcome is empty", rule->name);
        metric->outcome_id = class_id(rule->outcome, strlen(rule->outcome));
    } else {
        struct naming naming = {set, rules, n_rules, metric};
        metric->estimable = true;
        const struct expr_names names = {&naming, resolve};
        rc = expr_parse(&metric->expr, rule->expr, &names, err);
        if (rc) {
            free(metric->operands);
            return err_prefix(err, rc, "metric '%s': expr", rule->name);
        }
    }
    set->n++;
    return 0;
}

int custom_set_new(struct custom_set **out, enum task task, const struct custom_rule *rules,
                   size_t n_rules, struct err *err)
{
    if (n_rules > MAX_RULES)
        return err_set(err, -EINVAL, "metrics: %zu custom ones, at most %d are allowed", n_rules,
                       MAX_RULES);
    AUTO(custom_set)
    struct custom_set *set = calloc(1, sizeof(*set) + n_rules * sizeof(set->metrics[0]));
    if (!set)
        return err_set(err, -ENOMEM, "metrics: no memory for %zu custom ones", n_rules);
    set->task = task;
    for (size_t i = 0; i < n_rules; i++) {
        const int rc = add_rule(set, rules, n_rules, i, err);
        if (rc)
            return rc;
    }
    *out = set; /* the caller owns it now */
    set = NULL;
    return 0;
}

size_t custom_count(const struct custom_set *set)
{
    return set ? set->n : 0;
}

const char *custom_name(const struct custom_set *set, size_t index)
{
    return set->metrics[index].name;
}

bool custom_needs_units(const struct custom_set *set)
{
    for (size_t i = 0; set && i < set->n; i++)
        if (!set->metrics[i].expr && set->metrics[i].per == PER_UNIT)
            return true;
    return false;
}

static const char *unit_of(const struct custom_metric *metric)
{
    if (metric->expr || metric->agg != AGG_RATE)
        return "value";
    return metric->per == PER_UNIT ? "1/unit" : "fraction";
}

static int resolve_expected(struct metric_query *out, int custom, const char *name, struct err *err)
{
    if (!out->set->metrics[custom].estimable)
        return err_set(err, -EINVAL, "metric '%.100s': something in its formula has no estimate",
                       name);
    out->custom = custom;
    out->expected = true;
    snprintf(out->builtin.text, sizeof(out->builtin.text), "%s", name);
    out->name = out->builtin.text;
    out->unit = unit_of(&out->set->metrics[custom]);
    out->better = BETTER_NONE;
    return 0;
}

int metric_resolve(struct metric_query *out, const struct custom_set *set, enum task task,
                   const char *name, struct err *err)
{
    int custom = find_custom(set, name);
    *out = (struct metric_query){.set = set, .custom = custom};
    if (custom < 0 && strncmp(name, prefix, strlen(prefix)) == 0) {
        custom = find_custom(set, name + strlen(prefix));
        if (custom >= 0 && set->metrics[custom].expr)
            return resolve_expected(out, custom, name, err);
        custom = -1;
    }
    if (custom >= 0) {
        out->name = set->metrics[custom].name;
        out->unit = unit_of(&set->metrics[custom]);
        out->better = BETTER_NONE;
        return 0;
    }
    const int rc = metric_find(&out->builtin, name, task, err);
    if (rc) {
        const char *words[MAX_WORDS];
        size_t n = 0;
        for (; n < custom_count(set) && n < MAX_WORDS; n++)
            words[n] = set->metrics[n].name;
        const char *near = text_near(name, words, n);
        return near ? err_set(err, rc, "metric '%.100s' is unknown; did you mean '%s'?", name, near)
                    : rc;
    }
    out->name = out->builtin.text;
    out->unit = out->builtin.def->unit;
    out->better = out->builtin.def->better;
    return 0;
}

static void of_outcome(const struct states *states, const struct custom_metric *metric,
                       struct metric_value *out)
{
    static const struct named_sum none = {0};
    const struct named_sum *sums =
        named_sums_find(states_get(states, &outcome_kind), metric->outcome_id);
    if (!sums)
        sums = &none;
    if (metric->agg == AGG_SUM) {
        result_exact(out, wide_result(&sums->sum), interval_none);
        return;
    }
    if (metric->per == PER_PREDICTION) {
        /* A prediction without the outcome counts as 0. */
        if (metric->agg == AGG_RATE)
            result_share(out, sums->n_not_zero, out->n, "no predictions");
        else
            result_mean(out, wide_result(&sums->sum), wide_result(&sums->squares), out->n,
                        "no predictions");
        return;
    }
    const struct common_state *common = states_get(states, &common_kind);
    double error;
    const double units = distinct_count(&common->units, &error);
    if (units <= 0) {
        result_none(out, "no units");
        return;
    }
    const double sum = metric->agg == AGG_RATE ? (double)sums->n_not_zero : wide_result(&sums->sum);
    result_exact(out, sum / units, interval_none);
    out->error_bound = fabs(sum / units) * error / units;
}

struct evaluation {
    const struct states *states;
    const struct custom_set *set;
    const struct custom_metric *metric;
    int64_t window_ms;
    bool expected;
    const char *why; /* of the first null */
};

static void evaluate(const struct states *states, const struct custom_set *set, int custom,
                     bool expected, int64_t window_ms, struct metric_value *out);

static struct expr_number look_up(void *context, int name)
{
    struct evaluation *e = context;
    const struct operand *operand = &e->metric->operands[name];
    struct metric_value value;
    if (operand->custom >= 0)
        evaluate(e->states, e->set, operand->custom, e->expected, e->window_ms, &value);
    else
        metric_result(e->states, e->expected ? &operand->expected : &operand->builtin, e->window_ms,
                      &value);
    if (isnan(value.value) && !e->why)
        e->why = value.why;
    return (struct expr_number){value.value, value.error_bound};
}

static void evaluate(const struct states *states, const struct custom_set *set, int custom,
                     bool expected, int64_t window_ms, struct metric_value *out)
{
    const struct custom_metric *metric = &set->metrics[custom];
    const double none = (double)NAN;
    *out = (struct metric_value){
        none, none, none, none, states_count(states), states_labelled(states), NULL};
    if (!metric->expr) {
        of_outcome(states, metric, out);
        return;
    }
    struct evaluation e = {states, set, metric, window_ms, expected, NULL};
    const struct expr_number number = expr_value(metric->expr, look_up, &e);
    if (isnan(number.value)) {
        result_none(out, e.why ? e.why : "division by zero, or beyond the range of numbers");
        return;
    }
    result_exact(out, number.value, interval_none);
    out->error_bound = number.bound;
}

void metric_evaluate(const struct states *states, const struct metric_query *query,
                     int64_t window_ms, struct metric_value *out)
{
    if (query->builtin.def)
        metric_result(states, &query->builtin, window_ms, out);
    else
        evaluate(states, query->set, query->custom, query->expected, window_ms, out);
}
