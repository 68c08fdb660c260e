#include "common/backoff.h"

enum delivery delivery_judge(int status)
{
    if (status >= 200 && status < 300)
        return DELIVERY_DONE;
    if (status == 410)
        return DELIVERY_GONE;
    if (status <= 0 || status == 408 || status == 425 || status == 429 || status >= 500)
        return DELIVERY_RETRY;
    return DELIVERY_REFUSED;
}

int64_t backoff_delay(int64_t attempts, int64_t retry_after_ms, struct rng *rng)
{
    const int64_t longest_retry_after_ms = INT64_C(3600000);
    int64_t delay = BACKOFF_FIRST_MS;
    for (int64_t i = 1; i < attempts && delay < BACKOFF_LONGEST_MS; i++)
        delay *= 2;
    if (delay > BACKOFF_LONGEST_MS)
        delay = BACKOFF_LONGEST_MS;
    delay = (int64_t)((double)delay * (0.8 + 0.4 * rng_uniform(rng)));
    if (retry_after_ms > longest_retry_after_ms)
        retry_after_ms = longest_retry_after_ms;
    return delay > retry_after_ms ? delay : retry_after_ms;
}
