/*
 * Linked into a daemon that is as ours but for one thing: what folds features and labels into
 * profiles does nothing (meson wraps the two functions). Values are still prepared for it.
 */
#include "collector/fold.h"

int __wrap_fold_features(struct panes *fold, const struct fold_target *target, int64_t ts_ms,
                         const struct features *features, struct err *err);
int __wrap_fold_features(struct panes *fold, const struct fold_target *target, int64_t ts_ms,
                         const struct features *features, struct err *err)
{
    (void)fold;
    (void)target;
    (void)ts_ms;
    (void)features;
    (void)err;
    return 0;
}

int __wrap_fold_label_value(struct panes *fold, const struct fold_target *target, int64_t ts_ms,
                            const struct profile_item *item, int sign, struct err *err);
int __wrap_fold_label_value(struct panes *fold, const struct fold_target *target, int64_t ts_ms,
                            const struct profile_item *item, int sign, struct err *err)
{
    (void)fold;
    (void)target;
    (void)ts_ms;
    (void)item;
    (void)sign;
    (void)err;
    return 0;
}
