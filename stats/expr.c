/*
 * Parsed by recursive descent into steps of a stack machine (operands before their operator), so
 * that evaluating needs neither recursion nor memory.
 *
 *   sum     := product { (+ | -) product }
 *   product := factor { (* | /) factor }
 *   factor  := - factor | + factor | primary
 *   primary := number | (min | max) ( sum { , sum } ) | name | ( sum )
 */
#include "stats/expr.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "common/text.h"

enum {
    MAX_TEXT = 1000,
    MAX_STEPS = 256,
    MAX_DEPTH = 32,
    MAX_NAME = 320
};

enum operation {
    PUSH_NUMBER,
    PUSH_NAME,
    NEGATE,
    ADD,
    SUBTRACT,
    MULTIPLY,
    DIVIDE,
    MINIMUM,
    MAXIMUM
};

struct step {
    enum operation operation;
    int name;
    double number;
};

struct expr {
    size_t n;
    struct step steps[MAX_STEPS];
};

struct parser {
    const char *text, *at;
    int depth;
    const struct expr_names *names;
    struct expr *expr;
    struct err *err;
};

static int parse_sum(struct parser *p);

static int column_of(const struct parser *p, const char *at)
{
    return (int)(at - p->text) + 1;
}

static void skip_spaces(struct parser *p)
{
    while (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r')
        p->at++;
}

static int expected(struct parser *p, const char *what)
{
    if (*p->at == '\0')
        return err_set(p->err, -EINVAL, "column %d: expected %s, the formula ends here",
                       column_of(p, p->at), what);
    const unsigned char c = (unsigned char)*p->at;
    if (c < ' ' || c > '~')
        return err_set(p->err, -EINVAL, "column %d: expected %s, not byte 0x%02x",
                       column_of(p, p->at), what, c);
    return err_set(p->err, -EINVAL, "column %d: expected %s, not '%c'", column_of(p, p->at), what,
                   c);
}

static int emit(struct parser *p, struct step step)
{
    if (p->expr->n == MAX_STEPS)
        return err_set(p->err, -EINVAL, "column %d: more than %d numbers, names and operators",
                       column_of(p, p->at), MAX_STEPS);
    p->expr->steps[p->expr->n++] = step;
    return 0;
}

static bool take(struct parser *p, char c)
{
    skip_spaces(p);
    if (*p->at != c)
        return false;
    p->at++;
    return true;
}

static int parse_number(struct parser *p)
{
    const char *end = p->at;
    while (isdigit((unsigned char)*end) || *end == '.')
        end++;
    if ((*end == 'e' || *end == 'E') && end > p->at) {
        const char *exponent = end + 1 + (end[1] == '+' || end[1] == '-');
        if (isdigit((unsigned char)*exponent)) {
            end = exponent;
            while (isdigit((unsigned char)*end))
                end++;
        }
    }
    double number;
    if (number_parse(&number, p->at, (size_t)(end - p->at)))
        return err_set(p->err, -EINVAL, "column %d: '%.*s' is not a number", column_of(p, p->at),
                       (int)(end - p->at), p->at);
    p->at = end;
    return emit(p, (struct step){.operation = PUSH_NUMBER, .number = number});
}

/* min( and max( have one argument or more; each one after the first is folded in at once. */
static int parse_arguments(struct parser *p, enum operation operation)
{
    int rc = parse_sum(p);
    while (rc == 0 && take(p, ',')) {
        rc = parse_sum(p);
        if (rc == 0)
            rc = emit(p, (struct step){.operation = operation});
    }
    if (rc)
        return rc;
    return take(p, ')') ? 0 : expected(p, "',' or ')'");
}

/* The end of `name` or `name{key="value"}`, quotes and \" in the value minded. */
static const char *end_of_name(const char *at)
{
    while (isalnum((unsigned char)*at) || *at == '_')
        at++;
    if (*at != '{')
        return at;
    const char *end = at + 1;
    bool quoted = false;
    for (; *end && (quoted || *end != '}'); end++) {
        if (quoted && *end == '\\' && end[1])
            end++;
        else if (*end == '"')
            quoted = !quoted;
    }
    return *end ? end + 1 : end;
}

static int parse_name(struct parser *p)
{
    const char *start = p->at, *end = end_of_name(start);
    const size_t n = (size_t)(end - start);
    char name[MAX_NAME];
    if (n >= sizeof(name))
        return err_set(p->err, -EINVAL, "column %d: a name of more than %d bytes",
                       column_of(p, start), MAX_NAME - 1);
    memcpy(name, start, n);
    name[n] = '\0';
    p->at = end;
    skip_spaces(p);
    if (*p->at == '(') {
        const bool minimum = strcmp(name, "min") == 0;
        if (!minimum && strcmp(name, "max") != 0)
            return err_set(p->err, -EINVAL, "column %d: '%s' is no function; there are min and max",
                           column_of(p, start), name);
        p->at++;
        return parse_arguments(p, minimum ? MINIMUM : MAXIMUM);
    }
    const int number = p->names->resolve(p->names->context, name, p->err);
    if (number < 0)
        return err_prefix(p->err, number, "column %d", column_of(p, start));
    return emit(p, (struct step){.operation = PUSH_NAME, .name = number});
}

static int parse_primary(struct parser *p)
{
    skip_spaces(p);
    const unsigned char c = (unsigned char)*p->at;
    if (isdigit(c) || c == '.')
        return parse_number(p);
    if (isalpha(c) || c == '_')
        return parse_name(p);
    if (!take(p, '('))
        return expected(p, "a number, a metric or '('");
    const int rc = parse_sum(p);
    if (rc)
        return rc;
    return take(p, ')') ? 0 : expected(p, "an operator or ')'");
}

static int parse_factor(struct parser *p)
{
    if (p->depth == MAX_DEPTH)
        return err_set(p->err, -EINVAL, "column %d: more than %d levels of brackets and signs",
                       column_of(p, p->at), MAX_DEPTH);
    p->depth++;
    int rc;
    if (take(p, '-')) {
        rc = parse_factor(p);
        if (rc == 0)
            rc = emit(p, (struct step){.operation = NEGATE});
    } else {
        rc = take(p, '+') ? parse_factor(p) : parse_primary(p);
    }
    p->depth--;
    return rc;
}

static int parse_product(struct parser *p)
{
    int rc = parse_factor(p);
    while (rc == 0) {
        const bool times = take(p, '*');
        if (!times && !take(p, '/'))
            return 0;
        rc = parse_factor(p);
        if (rc == 0)
            rc = emit(p, (struct step){.operation = times ? MULTIPLY : DIVIDE});
    }
    return rc;
}

static int parse_sum(struct parser *p)
{
    int rc = parse_product(p);
    while (rc == 0) {
        const bool plus = take(p, '+');
        if (!plus && !take(p, '-'))
            return 0;
        rc = parse_product(p);
        if (rc == 0)
            rc = emit(p, (struct step){.operation = plus ? ADD : SUBTRACT});
    }
    return rc;
}

int expr_parse(struct expr **out, const char *text, const struct expr_names *names, struct err *err)
{
    if (strlen(text) > MAX_TEXT)
        return err_set(err, -EINVAL, "column %d: a formula has at most %d bytes", MAX_TEXT + 1,
                       MAX_TEXT);
    AUTO(expr) struct expr *expr = calloc(1, sizeof(*expr));
    if (!expr)
        return err_set(err, -ENOMEM, "no memory for a formula");
    struct parser p = {.text = text, .at = text, .names = names, .expr = expr, .err = err};
    const int rc = parse_sum(&p);
    if (rc)
        return rc;
    skip_spaces(&p);
    if (*p.at)
        return expected(&p, "an operator or the end");
    *out = expr; /* the caller owns it now */
    expr = NULL;
    return 0;
}

void expr_free(struct expr *expr)
{
    free(expr);
}

static struct expr_number divided(struct expr_number a, struct expr_number b)
{
    const double none = (double)NAN, rest = fabs(b.value) - b.bound;
    if (b.value == 0)
        return (struct expr_number){none, none};
    const double value = a.value / b.value;
    if (!(rest > 0))
        return (struct expr_number){value, none}; /* the divisor may be 0 in truth */
    return (struct expr_number){value, (a.bound + fabs(value) * b.bound) / rest};
}

/* NaN, not known, is larger than anything. */
static double larger(double a, double b)
{
    return isnan(a) || a > b ? a : b;
}

static struct expr_number applied(enum operation operation, struct expr_number a,
                                  struct expr_number b)
{
    if (isnan(a.value) || isnan(b.value))
        return (struct expr_number){(double)NAN, (double)NAN};
    switch (operation) {
    case ADD:
        return (struct expr_number){a.value + b.value, a.bound + b.bound};
    case SUBTRACT:
        return (struct expr_number){a.value - b.value, a.bound + b.bound};
    case MULTIPLY:
        return (struct expr_number){a.value * b.value, fabs(a.value) * b.bound +
                                                           fabs(b.value) * a.bound +
                                                           a.bound * b.bound};
    case DIVIDE:
        return divided(a, b);
    case MINIMUM:
        return (struct expr_number){fmin(a.value, b.value), larger(a.bound, b.bound)};
    default:
        return (struct expr_number){fmax(a.value, b.value), larger(a.bound, b.bound)};
    }
}

struct expr_number expr_value(const struct expr *expr, expr_lookup *lookup, void *context)
{
    struct expr_number stack[MAX_STEPS];
    size_t n = 0;
    for (size_t i = 0; i < expr->n; i++) {
        const struct step *step = &expr->steps[i];
        switch (step->operation) {
        case PUSH_NUMBER:
            stack[n++] = (struct expr_number){step->number, 0};
            break;
        case PUSH_NAME:
            stack[n++] = lookup(context, step->name);
            break;
        case NEGATE:
            stack[n - 1].value = -stack[n - 1].value;
            break;
        default:
            n--;
            stack[n - 1] = applied(step->operation, stack[n - 1], stack[n]);
        }
    }
    if (!isfinite(stack[0].value))
        stack[0].value = stack[0].bound = (double)NAN;
    return stack[0];
}
