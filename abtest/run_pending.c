/* Labels and outcomes that came before their prediction was `maturity` old: they count later, at
   the same age in both arms, and are saved with the evidence until then. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abtest/run_item.h"

enum {
    CONTRIBUTES = 0x80 /* in the saved stage: contributions follow */
};

int young_add(struct item *item, const struct young *young, struct err *err)
{
    if (item->n_young == item->young_capacity) {
        size_t wanted = item->young_capacity ? item->young_capacity * 2 : 256;
        struct young *grown = realloc(item->young, wanted * sizeof(*grown));
        if (!grown)
            return err_set(err, -ENOMEM, "experiment %s: no memory for %zu labels",
                           item->experiment->name, wanted);
        item->young = grown;
        item->young_capacity = wanted;
    }
    struct young *place = &item->young[item->n_young++];
    *place = *young;
    if (young->observation.content) { /* it goes with its event */
        evidence_contributions(item->evidence, &young->observation, place->contributions);
        place->observation.content = NULL;
        place->contributes = true;
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
        rc = evidence_observe(item->evidence, &young->exposure, &young->observation, young->sign,
                              err);
        item->dirty = true;
    }
    item->n_young = kept;
    return rc;
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
        buf_u8(out, (uint8_t)(o->stage | (y->contributes ? CONTRIBUTES : 0)));
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
    }
}

static void load_one(struct young *y, int n_metrics, struct reader *in)
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
    o->stage = (enum measure_stage)(stage & ~CONTRIBUTES);
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
}

int young_load(struct item *item, struct reader *in, struct err *err)
{
    uint64_t n = reader_varint(in);
    int rc = 0;
    for (uint64_t i = 0; !rc && !reader_failed(in) && i < n; i++) {
        struct young young = {0};
        load_one(&young, item->experiment->n_metrics, in);
        if (reader_failed(in) || young.exposure.step >= item->experiment->n_steps ||
            young.exposure.step < 0 || young.exposure.arm > ARM_OUTSIDE)
            break;
        young.observation.name = young.name[0] ? young.name : NULL;
        rc = young_add(item, &young, err);
    }
    if (!rc && item->n_young != n)
        return err_set(err, ERR_CORRUPT, "experiment %s: its waiting labels are damaged",
                       item->experiment->name);
    return rc;
}
