/*
 * Event time: the watermark, and the looks of whole seconds.
 *
 * A look at second S must cover, of each partition, exactly the messages before its first ts >= S,
 * whatever came first over the wire. So a partition that reaches S is blocked (its source holds it,
 * what is left of the batch is stashed) until every other one has reached S, is idle or has ended;
 * then all is written, the look is taken, and the next second is set.
 */
#include "collector/loop.h"
#include "storage/lend.h"

enum {
    MAX_LOOKS = 64 /* a step */
};

bool align_idle(const struct collector *collector, const struct partition *partition)
{
    return !collector->options.sources[partition->source]->bounded &&
           stash_left(&partition->stash) == 0 &&
           clock_boot_ms(collector->clock) - partition->active_boot_ms >= IDLE_AFTER_MS;
}

static bool is_active(const struct collector *collector, const struct partition *partition)
{
    if (partition->stopped)
        return false;
    if (partition->ended)
        return stash_left(&partition->stash) > 0;
    return partition->assigned && !align_idle(collector, partition);
}

void align_watermark(struct collector *collector)
{
    int64_t lowest = INT64_MAX;
    int64_t newest = INT64_MIN;
    for (size_t i = 0; i < collector->n_partitions; i++) {
        const struct partition *partition = collector->partitions[i];
        int64_t ts_ms = partition->counts.newest_ts_ms;
        if (is_active(collector, partition) && ts_ms < lowest)
            lowest = ts_ms;
        if (partition->assigned && ts_ms > newest)
            newest = ts_ms;
    }
    int64_t watermark_ms = lowest == INT64_MAX ? newest : lowest;
    if (watermark_ms > collector->watermark_ms)
        collector->watermark_ms = watermark_ms;
}

static int64_t second_after(int64_t ts_ms)
{
    return ts_ms - ts_ms % LOOK_MS + LOOK_MS;
}

static void set_look(struct collector *collector, int64_t look_ms)
{
    collector->look_ms = look_ms;
    for (size_t i = 0; i < collector->n_partitions; i++) {
        struct partition *partition = collector->partitions[i];
        if (partition->blocked && partition->head_ts_ms < look_ms)
            partition->blocked = false;
    }
}

/* Has every active partition reached the look? *head_ms: the lowest ts that is to come. */
static bool all_reached(const struct collector *collector, int64_t *head_ms)
{
    *head_ms = INT64_MAX;
    for (size_t i = 0; i < collector->n_partitions; i++) {
        const struct partition *partition = collector->partitions[i];
        if (!is_active(collector, partition))
            continue;
        if (!partition->blocked)
            return false;
        if (partition->head_ts_ms < *head_ms)
            *head_ms = partition->head_ts_ms;
    }
    return true;
}

/* Nobody looks any more: whoever waited for the look goes on. */
static void end_looks(struct collector *collector)
{
    if (collector->look_ms == INT64_MIN)
        return;
    set_look(collector, INT64_MAX);
    collector->look_ms = INT64_MIN;
    collector->look_wanted = false;
}

/* All that the look covers can be read before anybody decides by it; where nothing is new, it
   already can. */
static int take_look_alone(struct collector *collector, int64_t *next_ms, struct err *err)
{
    int rc = changing_look(collector->changing, collector->look_ms, err);
    const bool new = collector->look_dirty || collector->unwritten || is_observed(collector) ||
                     changing_has_news(collector->changing);
    if (collector->look_dirty)
        collector->news_ms = collector->look_ms;
    if (!tells_looks(collector))
        return rc; /* what was found is for nobody here: the next commit keeps it */
    if (!rc && new)
        rc = share_or_commit(collector, err);
    if (rc || collector->degraded || collector->reload)
        return rc;
    struct err why = {0};
    rc = collector->options.at_look(collector->options.context, collector->look_ms, next_ms, &why);
    return share_looked(collector, rc, &why, err);
}

/* While a crowd of alerts is written beside us, a look at which nobody changes anything has the
   store in between. */
static int take_look(struct collector *collector, int64_t *next_ms, struct err *err)
{
    struct store *store = collector->options.store;
    int rc = commit_land(collector, err);
    if (rc)
        return rc < 0 ? rc : 0;
    if (!is_observed(collector))
        (void)store_interrupt(store);
    rc = take_look_alone(collector, next_ms, err);
    store_resume(store);
    return rc;
}

/* So that calls and commits get their turn; while the store is lent, calls cannot. */
static bool enough_looks(const struct collector *collector, int n)
{
    return n == MAX_LOOKS || (calls_wait(collector) && !store_is_lent(collector->options.store));
}

int align_looks(struct collector *collector, struct err *err)
{
    int64_t head_ms;
    collector->looks_left = false;
    if (!wants_looks(collector)) {
        end_looks(collector);
        return 0;
    }
    for (int i = 0; all_reached(collector, &head_ms); i++) {
        if (enough_looks(collector, i)) {
            collector->looks_left = true;
            return 0;
        }
        bool more = head_ms != INT64_MAX;
        if (collector->look_ms == INT64_MIN) {
            if (!more)
                return 0;
            set_look(collector, second_after(head_ms));
            continue;
        }
        if (!more && !collector->look_dirty)
            return 0; /* all idle, and it was looked at */
        if (!collector->look_dirty && !collector->look_wanted) {
            set_look(collector, second_after(head_ms));
            continue;
        }
        int64_t next_ms = 0;
        int rc = take_look(collector, &next_ms, err);
        if (rc || collector->degraded || collector->reload)
            return rc;
        collector->look_dirty = false;
        collector->look_wanted = next_ms > collector->look_ms;
        if (is_observed(collector) && more && second_after(head_ms) < next_ms)
            collector->look_wanted = false;
        if (!collector->look_wanted)
            next_ms = more ? second_after(head_ms) : collector->look_ms + LOOK_MS;
        set_look(collector, next_ms);
    }
    return 0;
}
