#include "storage/drift_judged.h"

#include <errno.h>

#include "stats/sample.h"

enum {
    ASIDE_MS = 20 /* until it is asked again whether all is over */
};

/* What the verdicts of a window depend on beside its panes. */
static uint64_t key_of(const struct drift_judging *judging, uint64_t fingerprint)
{
    const struct reference *reference = judging->model->reference.reference;
    struct {
        uint64_t fingerprint, reference, grids, n_features, method;
        double rate, effect;
    } key = {fingerprint,
             reference ? reference->id : 0, /* a slice's part has an id of its own */
             judging->model->layout.reference,
             judging->model->n_features,
             (uint64_t)judging->rule->method,
             judging->rule->false_alarm_rate,
             judging->rule->min_effect};
    return class_id((const char *)&key, sizeof(key));
}

bool drift_judged_find(const struct drift_judging *judging, uint64_t fingerprint,
                       struct drift_feature *out, struct drift_summary *summary)
{
    return drift_cache_window(judging->cache, key_of(judging, fingerprint), out,
                              judging->model->n_features, summary);
}

/* Asked at each feature. In the background that is where others are let past. */
static bool is_over(void *context)
{
    const struct drift_judging *judging = context;
    bool over = judging->stopping && judging->stopping(judging->context);
    while (!over && judging->background && !drift_cache_stand_aside(judging->cache, ASIDE_MS))
        over = judging->stopping && judging->stopping(judging->context);
    return over;
}

static int judge(struct drift_judging *judging, const struct profile_point *point,
                 struct drift_feature *out, struct drift_summary *summary, struct err *err)
{
    const struct drift_question question = {
        .nulls = drift_cache_nulls(judging->cache),
        .crew = judging->background ? NULL : drift_cache_crew(judging->cache),
        .rule = judging->rule,
        .reference = judging->model->reference.reference,
        .window = point->profile,
        .label_id = judging->model->label_id,
        .stopping = is_over,
        .context = judging,
    };
    int rc = drift_window(&question, out, summary);
    if (rc == -ECANCELED)
        return err_set(err, rc, "drift: stopped");
    return rc ? err_set(err, rc, "drift: no memory to compare a window") : 0;
}

int drift_judged_make(const struct drift_judging *judging, const struct profile_point *point,
                      struct drift_feature *out, struct drift_summary *summary, struct err *err)
{
    const uint64_t key = key_of(judging, point->fingerprint);
    const size_t n = judging->model->n_features;
    const bool claimed = !judging->background && drift_cache_claim_window(judging->cache, key);
    if (claimed && drift_cache_window(judging->cache, key, out, n, summary)) {
        drift_cache_release_window(judging->cache, key);
        return 0;
    }
    struct drift_judging asked = *judging;
    int rc = judge(&asked, point, out, summary, err);
    if (!rc)
        drift_cache_keep_window(judging->cache, key, out, n, summary);
    if (claimed)
        drift_cache_release_window(judging->cache, key);
    return rc;
}
