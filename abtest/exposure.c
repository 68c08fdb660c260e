#include "abtest/exposure.h"

#include "stats/bucket.h"

int exposure_of(struct exposure *out, const struct experiment *experiment, int step,
                struct view unit, struct view version, int64_t ts_ms)
{
    bool treated = view_is(version, experiment->treatment);
    if (!treated && !view_is(version, experiment->control))
        return EXPOSURE_NONE;
    const char *salt = experiment->salt;
    size_t salt_bytes = strlen(salt);
    double bucket = bucket_of(salt, salt_bytes, unit.data, unit.size);
    enum arm_served arm = experiment_arm(experiment, step, bucket);
    *out = (struct exposure){
        .step = step,
        .arm = arm,
        .crossover = treated != (arm == ARM_TREATMENT), /* outside is served control as well */
        .unit = bucket_unit_hash(salt, salt_bytes, unit.data, unit.size),
        .ts_ms = ts_ms,
    };
    return 0;
}
