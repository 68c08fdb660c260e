/*
 * What the collector remembers: made from the database at the start, and again when a commit was
 * refused or a partition was lost. Partitions stay; their counters and offsets go back to what is
 * stored.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "collector/loop.h"
#include "common/grow.h"
#include "storage/restore.h"

uint64_t partition_id(const char *topic, int32_t number)
{
    char text[512];
    int n = snprintf(text, sizeof(text), "%s/%" PRId32, topic, number);
    return class_id(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

static const struct config_topic *topic_config(const struct config *config, const char *topic)
{
    for (size_t i = 0; i < config->kafka.n_topics; i++)
        if (strcmp(config->kafka.topics[i].name, topic) == 0)
            return &config->kafka.topics[i];
    return NULL;
}

/* What is not a configured topic holds events in Assay's own format. */
static int format_new_for(struct collector *collector, const struct partition *partition,
                          struct topic_format **out, struct err *err)
{
    static const struct config_topic plain = {.name = "", .format = "assay"};
    struct topic_format *made = calloc(1, sizeof(*made));
    int rc = made ? 0 : err_set(err, -ENOMEM, "collector: no memory for a format");
    for (int i = 0; !rc && i < INGEST_AHEAD; i++)
        rc = format_new(&made->ring[i], partition->config ? partition->config : &plain,
                        collector->options.config, err);
    if (!rc && partition->config) {
        made->topic = strdup(partition->topic);
        if (!made->topic)
            rc = err_set(err, -ENOMEM, "collector: no memory for a format");
    }
    if (!made)
        return rc;
    made->next = collector->formats;
    collector->formats = made; /* also a half-made one: formats_free takes it */
    *out = made;
    return rc;
}

int format_for(struct collector *collector, struct partition *partition, struct err *err)
{
    for (struct topic_format *format = collector->formats; format; format = format->next) {
        if (partition->config ? format->topic && strcmp(format->topic, partition->topic) == 0
                              : !format->topic) {
            partition->format = format;
            return 0;
        }
    }
    return format_new_for(collector, partition, &partition->format, err);
}

void formats_free(struct collector *collector)
{
    while (collector->formats) {
        struct topic_format *next = collector->formats->next;
        for (int i = 0; i < INGEST_AHEAD; i++)
            format_free(collector->formats->ring[i]);
        free(collector->formats->topic);
        free(collector->formats);
        collector->formats = next;
    }
}

int formats_set(struct collector *collector, struct err *err)
{
    int rc = 0;
    formats_free(collector);
    for (size_t i = 0; !rc && i < collector->n_partitions; i++) {
        struct partition *partition = collector->partitions[i];
        partition->config = topic_config(collector->options.config, partition->topic);
        partition->format = NULL;
        if (partition->assigned)
            rc = format_for(collector, partition, err);
    }
    return rc;
}

static void partition_forget(struct partition *partition)
{
    partition->next = partition->stored = -1;
    partition->low = partition->high = -1;
    partition->hole_at = -1;
    partition->changed = partition->blocked = partition->verify = partition->stopped = false;
    partition->counts = (struct partition_counts){
        .first = -1, .newest_ts_ms = INT64_MIN, .last_offset = -1, .last_timestamp_ms = INT64_MIN};
    stash_clear(&partition->stash);
}

int partition_for(struct collector *collector, const char *topic, int32_t number,
                  struct partition **out, struct err *err)
{
    uint64_t id = partition_id(topic, number);
    uint32_t at = id_set_find(&collector->partition_ids, id);
    if (at != ID_NONE) {
        *out = collector->partitions[at];
        return 0;
    }
    int rc =
        grow(&collector->partitions, &collector->partitions_capacity, collector->n_partitions + 1,
             sizeof(struct partition *), "collector: partitions", err);
    if (rc)
        return rc;
    struct partition *partition = calloc(1, sizeof(*partition));
    char *name = strdup(topic);
    rc = partition && name
             ? id_set_put(&collector->partition_ids, id, (uint32_t)collector->n_partitions, err)
             : err_set(err, -ENOMEM, "collector: no memory for a partition");
    if (rc) {
        free(partition);
        free(name);
        return rc;
    }
    partition->collector = collector;
    partition->topic = name;
    partition->number = number;
    partition->id = id;
    partition->config = topic_config(collector->options.config, topic);
    partition_forget(partition);
    collector->partitions[collector->n_partitions++] = partition;
    *out = partition;
    return 0;
}

static void say(const struct collector *collector, const struct partition *partition,
                const char *text)
{
    if (collector->options.log)
        log_write_fields(collector->options.log, LEVEL_ERROR, "collector",
                         LOG_FIELDS(LOG_TEXT("topic", partition->topic),
                                    LOG_NUMBER("partition", partition->number)),
                         "%s", text);
}

void partition_lost(struct collector *collector, struct partition *partition, int64_t lost)
{
    char text[160];
    snprintf(text, sizeof(text),
             "%" PRId64 " messages from offset %" PRId64
             " are gone: the log keeps less than the time we were away",
             lost, partition->next);
    say(collector, partition, text);
    partition->counts.lost += lost;
    partition->counts.last_offset = -1; /* it is gone too: nothing to know the log by */
    partition->next += lost;
    partition->changed = true;
}

void partition_recreated(struct collector *collector, struct partition *partition)
{
    char text[640];
    bool bounded = collector->options.sources[partition->source]->bounded;
    bool goes_on = partition->config && partition->config->on_recreated == RECREATED_EARLIEST;
    partition->verify = false;
    partition->changed = true;
    collector->restart |= UINT64_C(1) << partition->source;
    if (bounded && !collector->deferred) {
        collector->deferred =
            err_set(&collector->deferred_err, ERR_DATA,
                    "%s: not the file of which %" PRId64
                    " lines are in the database: give another --db, or the file as it was",
                    partition->topic, partition->next);
    } else if (goes_on) {
        snprintf(text, sizeof(text),
                 "not the log that was read up to offset %" PRId64 ": read from its beginning",
                 partition->next);
        partition->next = -1;
        partition->counts.last_offset = -1;
    } else {
        snprintf(text, sizeof(text),
                 "not the log that was read up to offset %" PRId64
                 ": stopped; `on_recreated: earliest` reads the new one",
                 partition->next);
        partition->stopped = true;
    }
    if (!bounded)
        say(collector, partition, text);
}

static int restore_offset(void *context, const struct restored_offset *row, struct err *err)
{
    struct partition *partition;
    int rc = partition_for(context, row->topic, row->partition, &partition, err);
    if (rc)
        return rc;
    partition->next = partition->stored = row->next;
    partition->counts = row->counts;
    return 0;
}

static int64_t names_series_id(void *context, uint32_t series, int slice)
{
    return models_series_id(((struct collector *)context)->models, series,
                            slice < 0 ? 0 : (uint32_t)slice);
}

static int names_series_of(void *context, int64_t id, uint32_t *series, int *slice)
{
    uint32_t number;
    int rc = models_series_of(((struct collector *)context)->models, id, series, &number);
    if (!rc)
        *slice = (int)number;
    return rc;
}

static int64_t names_partition_id(void *context, uint32_t partition)
{
    return (int64_t)((struct collector *)context)->partitions[partition]->id;
}

static int names_partition_of(void *context, int64_t id, uint32_t *partition)
{
    *partition = id_set_find(&((struct collector *)context)->partition_ids, (uint64_t)id);
    return *partition == ID_NONE ? -1 : 0;
}

static int read_row(void *context, uint32_t segment, const void *bytes, size_t n, struct err *err)
{
    return pending_read(context, segment, bytes, n, err);
}

static int load_segment(void *context, struct pending *pending, uint32_t segment, struct err *err)
{
    struct collector *collector = context;
    return restore_pending_segment(collector->options.store, segment, read_row, pending, err);
}

/* The id hash needs the same seed as long as its records live; nobody outside may know it. */
static int load_seed(struct collector *collector, struct err *err)
{
    int64_t seed = 0;
    int rc = restore_fact(collector->options.store, "join_seed", &seed, err);
    if (rc < 0)
        return rc;
    collector->seed_stored = rc == 0;
    if (rc == RESTORE_NONE && getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        return err_set(err, -errno, "collector: no random number for the join");
    collector->seed = (uint64_t)seed;
    return 0;
}

static int load_pending(struct collector *collector, struct err *err)
{
    struct pending_options options = {
        .seed = collector->seed,
        .memory_limit = (size_t)collector->options.config->limits.pending_memory,
        .names = {collector, names_series_id, names_series_of, names_partition_id,
                  names_partition_of},
        .context = collector,
        .load = load_segment,
    };
    int rc = pending_new(&collector->pending, &options, err);
    if (!rc)
        rc = restore_pending(collector->options.store, read_row, collector->pending, err);
    if (!rc)
        rc = pending_read_end(collector->pending, err);
    return rc;
}

static int open_again(void *context, const struct record *record, struct err *err)
{
    struct collector *collector = context;
    if (record->kind != RECORD_PREDICTION || (record->flags & (RECORD_LABELLED | RECORD_FAILED)))
        return 0;
    struct model *model = collector->models->versions[record->series]->model;
    int rc = open_add(&model->open, record->ts_ms, err);
    return rc < 0 ? rc : 0;
}

static int load_join(struct collector *collector, struct err *err)
{
    struct models *models = collector->models;
    int rc = join_new(&collector->join, collector->pending, err);
    for (size_t i = 0; !rc && i < models->n_versions; i++) {
        const struct model *model = models->versions[i]->model;
        rc = join_series(collector->join, (uint32_t)i, model->hash, model->label_horizon_ms, err);
    }
    for (size_t i = 0; !rc && i < models->n_models; i++)
        join_longest_horizon(collector->join, models->models[i]->label_horizon_ms);
    if (!rc && collector->options.config->auto_models.task)
        join_longest_horizon(collector->join,
                             collector->options.config->auto_models.label_horizon_ms);
    if (!rc)
        rc = pending_each(collector->pending, open_again, collector, err);
    for (size_t i = 0; !rc && i < models->n_models; i++) {
        struct model *model = models->models[i];
        if (collector->watermark_ms != INT64_MIN) /* these are counted as expired already */
            open_expire(&model->open, collector->watermark_ms - model->label_horizon_ms);
        model->counts[COUNT_PENDING] = model->open.total;
    }
    return rc;
}

int memory_load(struct collector *collector, struct err *err)
{
    struct store *store = collector->options.store;
    struct panes_options panes_options = {store, PANE_MEMORY};
    int64_t watermark_ms, look_ms;
    for (size_t i = 0; i < collector->n_partitions; i++)
        partition_forget(collector->partitions[i]);
    int rc = restore_offsets(store, restore_offset, collector, err);
    if (!rc)
        rc = models_new(&collector->models, collector->options.config, err);
    if (!rc)
        rc = models_restore(collector->models, store, err);
    if (!rc)
        rc = load_seed(collector, err);
    if (!rc)
        rc = restore_fact(store, "watermark_ms", &watermark_ms, err);
    if (rc >= 0) {
        collector->watermark_ms = rc == RESTORE_NONE ? INT64_MIN : watermark_ms;
        collector->stored_watermark_ms = collector->watermark_ms;
        rc = restore_fact(store, COMMIT_LOOK, &look_ms, err);
    }
    if (rc >= 0) {
        collector->look_ms = rc == RESTORE_NONE ? INT64_MIN : look_ms;
        collector->stored_look_ms = collector->news_ms = collector->look_ms;
        collector->look_wanted = rc != RESTORE_NONE;
        rc = load_pending(collector, err);
    }
    if (!rc)
        rc = load_join(collector, err);
    if (!rc)
        rc = panes_new(&collector->fold, &panes_options, err);
    if (!rc)
        rc = changing_new(&collector->changing, collector->models, store, err);
    collector->uncommitted = collector->unwritten = 0;
    if (!rc && collector->options.observer)
        rc = collector->options.observer->reload(collector->options.observer->context, err);
    if (rc)
        return rc;
    /* The process may have ended between a look's commit and its decision: it is taken again. */
    collector->look_dirty = (is_observed(collector) || changing_waits(collector->changing)) &&
                            collector->look_ms != INT64_MIN;
    return 0;
}

void memory_drop(struct collector *collector)
{
    changing_free(collector->changing);
    panes_free(collector->fold);
    join_free(collector->join);
    pending_free(collector->pending);
    models_free(collector->models);
    collector->changing = NULL;
    collector->fold = NULL;
    collector->join = NULL;
    collector->pending = NULL;
    collector->models = NULL;
    dead_clear(collector);
}
