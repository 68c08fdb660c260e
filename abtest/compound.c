#include "abtest/compound.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/expr.h"

enum {
    CALIBRATION_BINS = 10
};
/* Parts of a class's columns; of a formula's operand; of r2's one key. */
enum {
    PART_TP,
    PART_PREDICTED,
    PART_LABELLED,
};
enum {
    PART_NUMERATOR,
    PART_DENOMINATOR,
};
enum { /* of a bin of scores, in half of the units */
    PART_CLAIMS,
    PART_CAME,
    PART_GAP,
    CALIBRATION_PARTS
};
enum {
    PART_N,
    PART_LABEL,
    PART_LABEL_SQUARE,
    PART_ERROR_SQUARE,
};

struct operand {
    char *name;
    struct measure measure; /* borrows its name */
};

struct compound {
    enum compound_kind kind;
    struct expr *expr; /* of a formula */
    struct operand operands[COMPOUND_MAX_OPERANDS];
    int n_operands;
};

void compound_free(struct compound *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->n_operands; i++)
        free(c->operands[i].name);
    expr_free(c->expr);
    free(c);
}

static int add_operand(void *context, const char *name, struct err *err)
{
    struct compound *c = context;
    for (int i = 0; i < c->n_operands; i++)
        if (strcmp(c->operands[i].name, name) == 0)
            return i;
    if (c->n_operands == COMPOUND_MAX_OPERANDS)
        return err_set(err, ERR_DATA, "a formula takes at most %d different metrics",
                       COMPOUND_MAX_OPERANDS);
    struct operand *operand = &c->operands[c->n_operands];
    operand->name = strdup(name);
    if (!operand->name)
        return err_set(err, -ENOMEM, "no memory for a formula");
    c->n_operands++;
    int rc = measure_resolve_operand(&operand->measure, operand->name, err);
    return rc ? rc : c->n_operands - 1;
}

int compound_new(struct compound **out, const struct measure *measure, const char *formula,
                 struct err *err)
{
    AUTO(compound) struct compound *c = calloc(1, sizeof(*c));
    if (!c)
        return err_set(err, -ENOMEM, "no memory for a metric");
    c->kind = measure->compound;
    const struct expr_names names = {c, add_operand};
    int rc = formula ? expr_parse(&c->expr, formula, &names, err) : 0;
    if (rc)
        return rc;
    if (formula && c->n_operands == 0)
        return err_set(err, ERR_DATA, "\"%s\" has no metric in it", formula);
    *out = c;
    c = NULL; /* the caller owns it now */
    return 0;
}

/* --- what an event adds --- */

static size_t formula_terms(const struct compound *c, const struct observation *o,
                            struct tally_term *out)
{
    size_t n = 0;
    for (int i = 0; i < c->n_operands; i++) {
        double numerator, denominator;
        if (!measure_ratio(&c->operands[i].measure, o, &numerator, &denominator))
            continue;
        out[n++] = (struct tally_term){(uint64_t)i, PART_NUMERATOR, numerator};
        out[n++] = (struct tally_term){(uint64_t)i, PART_DENOMINATOR, denominator};
    }
    return n;
}

static size_t class_terms(const struct observation *o, struct tally_term *out)
{
    size_t n = 0;
    if (o->stage != STAGE_LABEL || o->failed || !o->predicted_class || !o->label_class)
        return 0;
    out[n++] = (struct tally_term){o->predicted_class, PART_PREDICTED, 1};
    out[n++] = (struct tally_term){o->label_class, PART_LABELLED, 1};
    if (o->predicted_class == o->label_class)
        out[n++] = (struct tally_term){o->label_class, PART_TP, 1};
    return n;
}

static size_t pixel_terms(const struct observation *o, struct tally_term *out)
{
    size_t n = 0;
    if (o->stage != STAGE_LABEL || o->failed || !o->content)
        return 0;
    for (uint32_t i = 0; i < o->content->n_pixels && n + 3 <= COMPOUND_MAX_TERMS; i++) {
        const struct class_pixels *pixels = &o->content->pixels[i];
        out[n++] = (struct tally_term){pixels->class_id, PART_TP, pixels->tp};
        out[n++] = (struct tally_term){pixels->class_id, PART_PREDICTED, pixels->tp + pixels->fp};
        out[n++] = (struct tally_term){pixels->class_id, PART_LABELLED, pixels->tp + pixels->fn};
    }
    return n;
}

static size_t r2_terms(const struct observation *o, struct tally_term *out)
{
    double error = o->value - o->label_value, label = o->label_value;
    if (o->stage != STAGE_LABEL || o->failed || !isfinite(error))
        return 0;
    out[0] = (struct tally_term){0, PART_N, 1};
    out[1] = (struct tally_term){0, PART_LABEL, label};
    out[2] = (struct tally_term){0, PART_LABEL_SQUARE, label * label};
    out[3] = (struct tally_term){0, PART_ERROR_SQUARE, error * error};
    return 4;
}

/* What the score claims, and whether it came true. */
static size_t calibration_terms(const struct observation *o, struct tally_term *out)
{
    bool binary = !isnan(o->score), came = binary ? o->positive : o->correct;
    double claim = binary ? o->score : o->confidence;
    if (o->stage != STAGE_LABEL || o->failed || !(claim >= 0 && claim <= 1))
        return 0;
    uint64_t bin = (uint64_t)fmin(claim * CALIBRATION_BINS, CALIBRATION_BINS - 1);
    out[0] = (struct tally_term){bin, PART_CLAIMS, 1};
    out[1] = (struct tally_term){bin, PART_CAME, came};
    out[2] = (struct tally_term){bin, PART_GAP, claim - came};
    return 3;
}

/* Each class against the rest: its share of the scores, and whether it is the label. */
static size_t area_terms(const struct observation *o, struct tally_term *out)
{
    size_t n = 0;
    double sum = 0;
    if (o->stage != STAGE_LABEL || o->failed || !o->content)
        return 0;
    const struct sample *sample = o->content;
    for (uint32_t i = 0; i < sample->n_scores; i++)
        sum += sample->scores[i].score;
    if (fabs(sum - 1) < 1e-6 || !(sum > 0))
        sum = 1;
    for (uint32_t i = 0; i < sample->n_scores && n < COMPOUND_MAX_TERMS; i++) {
        const struct class_score *score = &sample->scores[i];
        bool is = score->class_id == sample->label_class;
        double share = fmin(fmax(score->score / sum, 0), 1);
        out[n++] = (struct tally_term){score->class_id, is, share};
    }
    return n;
}

size_t compound_terms(const struct compound *c, const struct observation *o,
                      struct tally_term out[COMPOUND_MAX_TERMS])
{
    switch (c->kind) {
    case COMPOUND_FORMULA:
        return formula_terms(c, o, out);
    case COMPOUND_R2:
        return r2_terms(o, out);
    case COMPOUND_MEAN_IOU:
    case COMPOUND_DICE:
        return pixel_terms(o, out);
    case COMPOUND_ECE:
        return calibration_terms(o, out);
    case COMPOUND_AREA_MACRO:
    case COMPOUND_AREA_WEIGHTED:
        return area_terms(o, out);
    default:
        return class_terms(o, out);
    }
}

/* --- the value of the totals --- */

struct lookup {
    const struct compound *compound;
    double value[COMPOUND_MAX_OPERANDS];
};

static struct expr_number look_up(void *context, int name)
{
    const struct lookup *lookup = context;
    return (struct expr_number){lookup->value[name], 0};
}

static double formula_value(const struct compound *c, const struct tally_term *totals, size_t n)
{
    struct lookup lookup = {.compound = c};
    double sums[COMPOUND_MAX_OPERANDS][2] = {{0}};
    for (size_t i = 0; i < n; i++)
        sums[totals[i].key][totals[i].part] = totals[i].value;
    for (int i = 0; i < c->n_operands; i++) {
        double ratio = sums[i][PART_DENOMINATOR] > 0
                           ? sums[i][PART_NUMERATOR] / sums[i][PART_DENOMINATOR]
                           : (double)NAN;
        lookup.value[i] = c->operands[i].measure.square_root ? sqrt(ratio) : ratio;
    }
    return expr_value(c->expr, look_up, &lookup).value;
}

/* One class after the other: its three sums. False after the last. */
static bool next_class(const struct tally_term *totals, size_t n, size_t *at, double sums[3])
{
    if (*at >= n)
        return false;
    uint64_t key = totals[*at].key;
    sums[PART_TP] = sums[PART_PREDICTED] = sums[PART_LABELLED] = 0;
    for (; *at < n && totals[*at].key == key; ++*at)
        sums[totals[*at].part] = totals[*at].value;
    return true;
}

/* 0 without a denominator, as scikit-learn's zero_division. */
static double share(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

static double class_value(enum compound_kind kind, const double sums[3])
{
    double tp = sums[PART_TP], predicted = sums[PART_PREDICTED], labelled = sums[PART_LABELLED];
    switch (kind) {
    case COMPOUND_PRECISION_MACRO:
    case COMPOUND_PRECISION_WEIGHTED:
        return share(tp, predicted);
    case COMPOUND_RECALL_MACRO:
    case COMPOUND_BALANCED_ACCURACY:
        return share(tp, labelled);
    case COMPOUND_MEAN_IOU:
        return share(tp, predicted + labelled - tp);
    default: /* F1 and Dice are one formula */
        return share(2 * tp, predicted + labelled);
    }
}

static double class_weight(enum compound_kind kind, const double sums[3])
{
    switch (kind) {
    case COMPOUND_PRECISION_WEIGHTED:
    case COMPOUND_F1_WEIGHTED:
        return sums[PART_LABELLED];
    case COMPOUND_BALANCED_ACCURACY:
        return sums[PART_LABELLED] > 0;
    default:
        return sums[PART_LABELLED] + sums[PART_PREDICTED] > 0;
    }
}

static double mean_over_classes(enum compound_kind kind, const struct tally_term *totals, size_t n)
{
    double sum = 0, weights = 0, sums[3];
    for (size_t at = 0; next_class(totals, n, &at, sums);) {
        double weight = class_weight(kind, sums);
        sum += weight * class_value(kind, sums);
        weights += weight;
    }
    return weights > 0 ? sum / weights : (double)NAN;
}

/* Agreement beyond chance: Cohen's kappa, and Matthews' correlation after Gorodkin 2004. */
static double agreement(enum compound_kind kind, const struct tally_term *totals, size_t n)
{
    double all = 0, right = 0, chance = 0, said = 0, is = 0, sums[3];
    for (size_t at = 0; next_class(totals, n, &at, sums);) {
        all += sums[PART_LABELLED];
        right += sums[PART_TP];
        chance += sums[PART_PREDICTED] * sums[PART_LABELLED];
        said += sums[PART_PREDICTED] * sums[PART_PREDICTED];
        is += sums[PART_LABELLED] * sums[PART_LABELLED];
    }
    double top = right * all - chance;
    double bottom =
        kind == COMPOUND_KAPPA ? all * all - chance : sqrt((all * all - said) * (all * all - is));
    return bottom > 0 ? top / bottom : (double)NAN;
}

static double r2_value(const struct tally_term *totals, size_t n)
{
    double sums[4] = {0};
    for (size_t i = 0; i < n; i++)
        sums[totals[i].part] = totals[i].value;
    double spread = sums[PART_LABEL_SQUARE] - sums[PART_LABEL] * sums[PART_LABEL] / sums[PART_N];
    return spread > 0 ? 1 - sums[PART_ERROR_SQUARE] / spread : (double)NAN;
}

typedef double bins_of_halves[2][CALIBRATION_BINS][CALIBRATION_PARTS];

static void read_bins(const struct tally_term *totals, size_t n, bins_of_halves bins)
{
    memset(bins, 0, sizeof(bins_of_halves));
    for (size_t i = 0; i < n; i++)
        bins[totals[i].key % 2][totals[i].key / 2][totals[i].part] = totals[i].value;
}

/* The error as the collector computes it. By Jensen's inequality it is too large in the mean, the
   more so the fewer the events. */
static double ece_above(const struct tally_term *totals, size_t n)
{
    bins_of_halves bins;
    double sum = 0, claims = 0;
    read_bins(totals, n, bins);
    for (int k = 0; k < CALIBRATION_BINS; k++) {
        sum += fabs(bins[0][k][PART_GAP] + bins[1][k][PART_GAP]);
        claims += bins[0][k][PART_CLAIMS] + bins[1][k][PART_CLAIMS];
    }
    return claims > 0 ? sum / claims : (double)NAN;
}

/* Which side a bin errs to, -1 … 1: the surer the further its gap is from what chance makes. */
static double side_of(const double bin[CALIBRATION_PARTS], int k)
{
    double middle = (k + 0.5) / CALIBRATION_BINS;
    double deviation = sqrt(bin[PART_CLAIMS] * middle * (1 - middle));
    return deviation > 0 ? fmin(fmax(bin[PART_GAP] / (2 * deviation), -1), 1) : 0;
}

/* Each half is told by the other to which side a bin errs: |E s · E gap| <= |E gap|, so that in the
   mean it is too small. */
static double ece_below(const struct tally_term *totals, size_t n)
{
    bins_of_halves bins;
    double sum = 0, claims = 0;
    read_bins(totals, n, bins);
    for (int k = 0; k < CALIBRATION_BINS; k++) {
        sum += side_of(bins[1][k], k) * bins[0][k][PART_GAP];
        sum += side_of(bins[0][k], k) * bins[1][k][PART_GAP];
        claims += bins[0][k][PART_CLAIMS] + bins[1][k][PART_CLAIMS];
    }
    return claims > 0 ? sum / claims : (double)NAN;
}

static double value_below(const void *context, const struct tally_term *totals, size_t n)
{
    (void)context;
    return ece_below(totals, n);
}

static double value_of(const void *context, const struct tally_term *totals, size_t n)
{
    const struct compound *c = context;
    switch (c->kind) {
    case COMPOUND_FORMULA:
        return formula_value(c, totals, n);
    case COMPOUND_R2:
        return r2_value(totals, n);
    case COMPOUND_ECE:
        return ece_above(totals, n);
    case COMPOUND_KAPPA:
    case COMPOUND_MCC:
        return agreement(c->kind, totals, n);
    default:
        return mean_over_classes(c->kind, totals, n);
    }
}

/* Claims that came true, or those that did not. */
static double rarer_claims(const struct tally_term *totals, size_t n)
{
    double claims = 0, came = 0;
    for (size_t i = 0; i < n; i++) {
        claims += totals[i].part == PART_CLAIMS ? totals[i].value : 0;
        came += totals[i].part == PART_CAME ? totals[i].value : 0;
    }
    return fmin(came, claims - came);
}

/* What is rare decides when a normal law may be believed: labels of the rarest class, events of the
   rarest operand; what was never seen cannot be waited for. */
static double rarest_of(const void *context, const struct tally_term *totals, size_t n)
{
    const struct compound *c = context;
    uint8_t part = c->kind == COMPOUND_FORMULA ? PART_NUMERATOR
                   : c->kind == COMPOUND_R2    ? PART_N
                                               : PART_LABELLED;
    double least = (double)INFINITY;
    if (c->kind == COMPOUND_ECE)
        return rarer_claims(totals, n);
    for (size_t i = 0; i < n; i++)
        if (totals[i].part == part && totals[i].value != 0)
            least = fmin(least, fabs(totals[i].value));
    return isinf(least) ? 0 : least;
}

bool compound_halved(const struct compound *c)
{
    return c->kind == COMPOUND_ECE;
}

bool compound_counts_units(const struct compound *c)
{
    for (int i = 0; i < c->n_operands; i++)
        if (c->operands[i].measure.per_unit)
            return true;
    return false;
}

struct tally_function compound_function(const struct compound *c, enum compound_bound bound)
{
    bool below = bound == BOUND_LOWER && c->kind == COMPOUND_ECE;
    return (struct tally_function){below ? value_below : value_of, rarest_of, c};
}
