/* Labels and outcomes that came before their prediction was `maturity` old: they count later, at
   the same age in both arms, and are saved with the evidence until then. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "abtest/compound.h"
#include "abtest/run_item.h"

enum {                  /* in the saved stage: */
    CONTRIBUTES = 0x80, /* contributions follow … */
    CLASSES = 0x40      /* … and what measures of classes and tallies read */
};

void young_forget(struct item *item)
{
    for (size_t i = 0; i < item->n_young; i++)
        free(item->young[i].terms);
    free(item->young);
    item->young = NULL;
    item->n_young = item->young_capacity = 0;
}

/* What a content says goes with its event: it is taken down now. */
static int take_down(struct item *item, struct young *young, struct err *err)
{
    struct tally_term terms[COMPOUND_MAX_TERMS];
    size_t n = 0;
    evidence_contributions(item->evidence, &young->observation, young->contributions);
    young->contributes = true;
    for (int m = 0; m < item->experiment->n_metrics; m++) {
        size_t more = evidence_terms(item->evidence, &young->observation, m, terms);
        young->n_terms[m] = (uint32_t)more;
        struct tally_term *grown = realloc(young->terms, (n + more + 1) * sizeof(*grown));
        if (!grown)
            return err_set(err, -ENOMEM, "experiment %s: no memory for a label",
                           item->experiment->name);
        young->terms = grown;
        memcpy(grown + n, terms, more * sizeof(*terms));
        n += more;
    }
    young->observation.content = NULL;
    return 0;
}

int young_add(struct item *item, const struct young *young, struct err *err)
{
    if (item->n_young == item->young_capacity) {
        size_t wanted = item->young_capacity ? item->young_capacity * 2 : 256;
        struct young *grown = realloc(item->young, wanted * sizeof(*grown));
        if (!grown) {
            free(young->terms);
            return err_set(err, -ENOMEM, "experiment %s: no memory for %zu labels",
                           item->experiment->name, wanted);
        }
        item->young = grown;
        item->young_capacity = wanted;
    }
    struct young *place = &item->young[item->n_young++];
    *place = *young;
    int rc = young->observation.content ? take_down(item, place, err) : 0;
    if (rc) {
        free(place->terms);
        item->n_young--;
        return rc;
    }
    place->name[0] = '\0';
    if (young->observation.name)
        strncat(place->name, young->observation.name, sizeof(place->name) - 1);
    return 0;
}

int young_release(struct item *item, int64_t look_ms, struct err *err)
{
    size_t kept = 0;
    int rc = 0;
    for (size_t i = 0; i < item->n_young; i++) {
        struct young *young = &item->young[i];
        if (rc || young->due_ms > look_ms) {
            if (kept != i)
                item->young[kept] = *young;
            kept++;
            continue;
        }
        young->observation.name = young->name[0] ? young->name : NULL;
        young->observation.contributions = young->contributes ? young->contributions : NULL;
        young->observation.terms = young->terms;
        young->observation.n_terms = young->contributes ? young->n_terms : NULL;
        rc = evidence_observe(item->evidence, &young->exposure, &young->observation, young->sign,
                              err);
        free(young->terms);
        item->dirty = true;
    }
    item->n_young = kept;
    return rc;
}

static void save_classes(const struct young *y, int n_metrics, struct buf *out)
{
    const struct observation *o = &y->observation;
    const struct tally_term *term = y->terms;
    buf_double(out, o->brier);
    buf_double(out, o->confidence);
    buf_u8(out, o->in_top_3);
    buf_u64(out, o->predicted_class);
    buf_u64(out, o->label_class);
    for (int m = 0; y->contributes && m < n_metrics; m++) {
        buf_varint(out, y->n_terms[m]);
        for (uint32_t i = 0; i < y->n_terms[m]; i++, term++) {
            buf_u64(out, term->key);
            buf_u8(out, term->part);
            buf_double(out, term->value);
        }
    }
}

void young_save(const struct item *item, struct buf *out)
{
    buf_varint(out, item->n_young);
    for (size_t i = 0; i < item->n_young; i++) {
        const struct young *y = &item->young[i];
        const struct observation *o = &y->observation;
        buf_zigzag(out, y->due_ms);
        buf_zigzag(out, y->sign);
        buf_varint(out, (uint64_t)y->exposure.step);
        buf_u8(out, (uint8_t)(y->exposure.arm | y->exposure.crossover << 4));
        buf_u64(out, y->exposure.unit);
        buf_zigzag(out, y->exposure.ts_ms);
        buf_u8(out, (uint8_t)(o->stage | CLASSES | (y->contributes ? CONTRIBUTES : 0)));
        buf_u8(out, (uint8_t)(o->failed | o->has_predicted << 1 | o->predicted << 2 |
                              o->positive << 3 | o->correct << 4));
        const double numbers[] = {o->latency_ms, o->score,       o->value,    o->label_value,
                                  o->log_loss,   o->named_value, o->covariate};
        for (size_t j = 0; j < sizeof(numbers) / sizeof(numbers[0]); j++)
            buf_double(out, numbers[j]);
        buf_string(out, y->name, strlen(y->name));
        for (int m = 0; y->contributes && m < item->experiment->n_metrics; m++) {
            buf_double(out, y->contributions[m].numerator);
            buf_double(out, y->contributions[m].denominator);
        }
        save_classes(y, item->experiment->n_metrics, out);
    }
}

/* False: damaged, or no memory. */
static bool load_terms(struct young *y, int n_metrics, struct reader *in)
{
    size_t n = 0;
    for (int m = 0; m < n_metrics; m++) {
        uint64_t more = reader_varint(in);
        if (reader_failed(in) || more > COMPOUND_MAX_TERMS)
            return false;
        struct tally_term *grown = realloc(y->terms, (n + more + 1) * sizeof(*grown));
        if (!grown)
            return false;
        y->terms = grown;
        y->n_terms[m] = (uint32_t)more;
        for (uint64_t i = 0; i < more; i++, n++) {
            grown[n].key = reader_u64(in);
            grown[n].part = reader_u8(in);
            grown[n].value = reader_double(in);
        }
    }
    return true;
}

static bool load_classes(struct young *y, int n_metrics, struct reader *in)
{
    struct observation *o = &y->observation;
    o->brier = reader_double(in);
    o->confidence = reader_double(in);
    o->in_top_3 = reader_u8(in) != 0;
    o->predicted_class = reader_u64(in);
    o->label_class = reader_u64(in);
    return !y->contributes || load_terms(y, n_metrics, in);
}

static bool load_one(struct young *y, int n_metrics, struct reader *in)
{
    struct observation *o = &y->observation;
    y->due_ms = reader_zigzag(in);
    y->sign = (int)reader_zigzag(in);
    y->exposure.step = (int)reader_varint(in);
    uint8_t arm = reader_u8(in);
    y->exposure.arm = (enum arm_served)(arm & 15);
    y->exposure.crossover = arm >> 4;
    y->exposure.unit = reader_u64(in);
    y->exposure.ts_ms = reader_zigzag(in);
    uint8_t stage = reader_u8(in);
    y->contributes = stage & CONTRIBUTES;
    o->stage = (enum measure_stage)(stage & ~(CONTRIBUTES | CLASSES));
    o->brier = o->confidence = (double)NAN;
    uint8_t flags = reader_u8(in);
    o->failed = flags & 1;
    o->has_predicted = flags >> 1 & 1;
    o->predicted = flags >> 2 & 1;
    o->positive = flags >> 3 & 1;
    o->correct = flags >> 4 & 1;
    double *const numbers[] = {&o->latency_ms, &o->score,       &o->value,    &o->label_value,
                               &o->log_loss,   &o->named_value, &o->covariate};
    for (size_t j = 0; j < sizeof(numbers) / sizeof(numbers[0]); j++)
        *numbers[j] = reader_double(in);
    size_t n = 0;
    const char *name = reader_string(in, &n);
    if (name && n < sizeof(y->name))
        memcpy(y->name, name, n);
    for (int m = 0; y->contributes && m < n_metrics; m++) {
        y->contributions[m].numerator = reader_double(in);
        y->contributions[m].denominator = reader_double(in);
    }
    return !(stage & CLASSES) || load_classes(y, n_metrics, in);
}

int young_load(struct item *item, struct reader *in, struct err *err)
{
    uint64_t n = reader_varint(in);
    int rc = 0;
    for (uint64_t i = 0; !rc && !reader_failed(in) && i < n; i++) {
        struct young young = {0};
        bool whole = load_one(&young, item->experiment->n_metrics, in);
        if (!whole || reader_failed(in) || young.exposure.step >= item->experiment->n_steps ||
            young.exposure.step < 0 || young.exposure.arm > ARM_OUTSIDE) {
            free(young.terms);
            break;
        }
        young.observation.name = young.name[0] ? young.name : NULL;
        rc = young_add(item, &young, err);
    }
    if (!rc && item->n_young != n)
        return err_set(err, ERR_CORRUPT, "experiment %s: its waiting labels are damaged",
                       item->experiment->name);
    return rc;
}
