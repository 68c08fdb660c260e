#include "collector/reference_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "collector/gzip_failed.h"
#include "collector/profiling.h"
#include "collector/reference_metrics.h"
#include "collector/reference_names.h"
#include "collector/reference_rows.h"
#include "collector/reference_slices.h"
#include "common/text.h"

#define MAX_UNPACKED_BYTES (INT64_C(2) << 30)

struct building {
    const struct reference_source *source;
    struct reference_counts *counts;
    enum task task;
    struct decoder *decoder;
    bool begun; /* a line was read */
    struct feature_schema *schema;
    struct profiling profiling;
    struct profile *profile, *labels;
    struct rows *rows; /* what is fitted on */
    struct reference_metrics *metrics;
    struct reference_slices *slices;
    struct reference_names names, feature_names;
    uint32_t features[EVENT_MAX_KEYS];
    struct profile_item items[EVENT_MAX_KEYS + N_OWN_SLOTS];
    struct class_score scores[EVENT_MAX_KEYS];
    uint64_t shown[EVENT_MAX_ITEMS];
};

static void building_free(struct building *building)
{
    if (!building)
        return;
    decoder_free(building->decoder);
    feature_schema_free(building->schema);
    profile_free(building->profile);
    profile_free(building->labels);
    rows_free(building->rows);
    reference_metrics_free(building->metrics);
    reference_slices_free(building->slices);
    reference_names_finish(&building->names);
    reference_names_finish(&building->feature_names);
    profiling_finish(&building->profiling);
    free(building);
}
DEFINE_FREEP(building)

static int building_new(struct building **out, const struct reference_source *source,
                        struct reference_counts *counts, struct err *err)
{
    AUTO(building) struct building *building = calloc(1, sizeof(*building));
    if (!building)
        return err_set(err, -ENOMEM, "reference: no memory");
    int task = task_parse(source->config ? source->config->task : source->task);
    if (task < 0)
        return err_set(err, ERR_USAGE,
                       "model %s: its task is not known; name it in the "
                       "configuration",
                       source->model);
    building->source = source;
    building->counts = counts;
    building->task = (enum task)task;
    *counts = (struct reference_counts){0};
    int rc = profiling_init(&building->profiling, err);
    if (!rc)
        rc = decoder_new(&building->decoder, err);
    if (!rc)
        rc = feature_schema_new(&building->schema, source->config, VALIDATE_MAX_FEATURES, err);
    if (!rc)
        rc = profile_new(&building->profile, &building->profiling.layout, PROFILE_REFERENCE, err);
    if (!rc)
        rc = profile_new(&building->labels, &building->profiling.label_layout, PROFILE_REFERENCE,
                         err);
    if (!rc)
        rc = rows_new(&building->rows, building->task,
                      source->config ? source->config->positive : "1",
                      source->config ? source->config->threshold : 0.5, err);
    if (!rc)
        rc = reference_metrics_new(&building->metrics, source, building->task, err);
    if (!rc)
        rc = reference_slices_new(&building->slices, &building->profiling, err);
    if (rc)
        return rc;
    *out = building;
    building = NULL; /* the caller owns it now */
    return 0;
}

static bool is_ours(const struct building *building, const struct event *event)
{
    const struct reference_source *source = building->source;
    if (event->model.data && !view_equal(event->model, view_of(source->model)))
        return false;
    return !source->version || !event->version.data ||
           view_equal(event->version, view_of(source->version));
}

static int compare_scores(const void *a, const void *b)
{
    const struct class_score *x = a, *y = b;
    return x->class_id < y->class_id ? -1 : x->class_id > y->class_id;
}

/* Scores by class, sorted; the class of the highest where the event names none. */
static void sample_scores(struct building *building, const struct event *event,
                          struct sample *sample)
{
    const bool named = sample->predicted;
    double best = -1;
    for (uint32_t i = 0; i < event->n_scores; i++) {
        const struct named_value *score = &event->scores[i];
        building->scores[i] =
            (struct class_score){class_id(score->name.data, score->name.size), score->value.number};
    }
    qsort(building->scores, event->n_scores, sizeof(building->scores[0]), compare_scores);
    sample->scores = building->scores;
    sample->n_scores = event->n_scores;
    for (uint32_t i = 0; !named && i < event->n_scores; i++) {
        if (building->scores[i].score > best) {
            best = building->scores[i].score;
            sample->predicted = building->scores[i].class_id;
        }
    }
}

static void sample_of(struct building *building, const struct event *event, struct sample *sample)
{
    bool regression = building->task == TASK_REGRESSION;
    uint64_t class = event->class_text.data && !regression
                         ? class_id(event->class_text.data, event->class_text.size)
                         : 0;
    bool label = event->type == EVENT_LABEL;
    *sample = (struct sample){
        .latency_ms = label ? (double)NAN : event->latency_ms,
        .score = building->task == TASK_BINARY ? event->score : (double)NAN,
        .value = regression && !label ? event->number : (double)NAN,
        .predicted = label ? 0 : class,
        .failed = !label && event->failed,
        .label_value = regression && label ? event->number : (double)NAN,
        .label_class = label ? class : 0,
    };
    if (label)
        return;
    if (building->task == TASK_MULTICLASS)
        sample_scores(building, event, sample);
    if (building->task != TASK_RANKING)
        return;
    for (uint32_t i = 0; i < event->n_ranking; i++)
        building->shown[i] = class_id(event->ranking[i].data, event->ranking[i].size);
    sample->items = building->shown;
    sample->n_items = event->n_ranking;
}

/* What the stream lacks is known all the same, as missing. With what the model makes: the stream
   gives those names to a model without any. */
static int take_feature_name(struct building *building, uint32_t feature, struct err *err)
{
    const struct view names[] = {view_of("@score"), view_of("@prediction"), view_of("@label"),
                                 feature_name(building->schema, feature)};
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof(names) / sizeof(names[0]); i++)
        rc = reference_names_add(&building->feature_names, names[i],
                                 class_id(names[i].data, names[i].size), err);
    return rc;
}

static int take_prediction(struct building *building, struct event *event,
                           const struct sample *sample, struct err *err)
{
    size_t n = profile_own_items(building->task, sample, building->items);
    int rc = 0;
    event_validate(building->schema, event, building->features);
    for (uint32_t i = 0; !rc && i < event->n_features; i++) {
        uint32_t slot;
        bool is_new;
        if (building->features[i] == FEATURE_NONE)
            continue;
        rc = profiling_slot(&building->profiling, building->schema, building->features[i], &slot,
                            &is_new, err);
        if (!rc && is_new)
            rc = take_feature_name(building, building->features[i], err);
        const struct value *value = &event->features[i].value;
        const uint64_t category = value_category(value);
        if (!rc && value->kind == VALUE_TEXT)
            rc = reference_names_add(&building->names, value->text, category, err);
        if (!rc)
            profile_item_set(&building->items[n++], value, slot, category);
    }
    if (rc)
        return rc;
    if (profile_fit(building->profile))
        return err_set(err, -ENOMEM, "reference: no memory");
    profile_event(building->profile, 1);
    if (profile_take(building->profile, building->items, n, 1))
        return err_set(err, -ENOMEM, "reference: no memory");
    struct reference_slicing slices;
    rc = reference_metrics_slices(building->metrics, event, &slices, err);
    if (!rc)
        rc = reference_slices_prediction(building->slices, slices.numbers, slices.n,
                                         building->items, n, err);
    if (!rc)
        rc = reference_metrics_prediction(building->metrics, event, &slices, sample, err);
    if (rc || event->failed)
        return rc;
    return rows_prediction(building->rows, event->id, sample, building->items, n, err);
}

static int take_line(struct building *building, const char *line, size_t n, struct err *err)
{
    struct event event;
    struct sample sample;
    size_t mark = building->begun ? 0 : text_order_mark(line, n);
    building->begun = true;
    line += mark;
    n -= mark;
    while (n && (line[n - 1] == '\n' || line[n - 1] == '\r'))
        n--;
    if (n == 0)
        return 0;
    if (event_decode(building->decoder, line, n, &event, NULL)) {
        building->counts->refused++;
        return 0;
    }
    if ((event.type != EVENT_PREDICTION && event.type != EVENT_LABEL) ||
        !is_ours(building, &event)) {
        building->counts->others++;
        return 0;
    }
    building->counts->events++;
    sample_of(building, &event, &sample);
    if (event.type == EVENT_PREDICTION)
        return take_prediction(building, &event, &sample, err);
    size_t items = profile_label_items(building->task, &sample, building->items);
    if (profile_take(building->labels, building->items, items, 1))
        return err_set(err, -ENOMEM, "reference: no memory");
    int rc = reference_metrics_label(building->metrics, &event, &sample, err);
    return rc ? rc : rows_label(building->rows, event.id, &sample, err);
}

/* Rankings and segmentations need no feature: their metrics alone can be compared. */
static int refuse_nothing(const struct reference *reference, struct err *err)
{
    const struct fitted *fitted = reference->fitted;
    bool compares = reference->n_features > 0;
    for (uint32_t i = 0; i < fitted->n_metrics; i++)
        compares = compares || states_labelled(fitted->metrics[i].states) > 0;
    return compares ? 0
                    : err_set(err, ERR_DATA,
                              "reference: of %llu events none has a feature, score, prediction or "
                              "label to compare with",
                              (unsigned long long)reference->events);
}

static int refuse_no_prediction(const struct building *building, struct err *err)
{
    const struct reference_source *source = building->source;
    return err_set(err, ERR_DATA,
                   "reference: no prediction of model %s%s%s in it (%" PRIu64
                   " events of other models or versions, %" PRIu64 " lines that are none)",
                   source->model, source->version ? ", version " : "",
                   source->version ? source->version : "", building->counts->others,
                   building->counts->refused);
}

static int finish_slices(struct building *building, struct reference *reference, struct err *err)
{
    const struct reference_slice_names names = reference_metrics_names(building->metrics);
    struct fitted *fitted = reference->fitted;
    fitted->slice_keys = calloc(names.n_keys + 1, sizeof(char *));
    if (!fitted->slice_keys)
        return err_set(err, -ENOMEM, "reference: no memory");
    for (uint32_t i = 0; i < names.n_keys; i++) {
        char *key = strdup(names.keys[i]);
        if (!key)
            return err_set(err, -ENOMEM, "reference: no memory");
        fitted->slice_keys[fitted->n_slice_keys++] = key;
    }
    return reference_slices_finish(building->slices, reference, names.slices, err);
}

/* Both profiles in one, and the reference of it. */
static int finish(struct building *building, struct reference **out, struct err *err)
{
    struct profiling *profiling = &building->profiling;
    uint32_t n = profiling->layout.n_features;
    if (building->profile->events == 0)
        return refuse_no_prediction(building, err);
    AUTO_FREE struct profile_feature *features = calloc(n + 1, sizeof(*features));
    if (!features)
        return err_set(err, -ENOMEM, "reference: no memory");
    memcpy(features, profiling->features, n * sizeof(*features));
    features[n] = profiling->label;
    struct profile_layout all = {0, n + 1, features};
    AUTO(profile) struct profile *profile = NULL;
    struct buf bytes;
    buf_init(&bytes, INT32_MAX);
    profile_save(building->profile, &bytes);
    int rc = buf_failed(&bytes)
                 ? err_set(err, -ENOMEM, "reference: no memory")
                 : profile_load(&profile, &all, PROFILE_REFERENCE, bytes.data, bytes.size, err);
    buf_finish(&bytes);
    if (rc)
        return rc;
    struct feature_state label = profile->features[n];
    profile->features[n] = building->labels->features[0];
    AUTO(reference) struct reference *reference = NULL;
    rc = reference_build(&reference, profile, profiling->label.name_id, err);
    profile->features[n] = label;
    if (!rc)
        rc = rows_fit(building->rows, reference, features, n, &reference->fitted, err);
    if (!rc)
        rc = reference_metrics_finish(building->metrics, building->slices, reference->fitted, err);
    if (!rc)
        rc = finish_slices(building, reference, err);
    if (!rc)
        rc = refuse_nothing(reference, err);
    if (rc)
        return rc;
    reference_names_give(&building->names, &reference->fitted->names, &reference->fitted->n_names);
    reference_names_give(&building->feature_names, &reference->fitted->features,
                         &reference->fitted->n_features);
    *out = reference;
    reference = NULL; /* the caller owns it now */
    return 0;
}

static int take_file(struct building *building, gzFile file, const char *path, struct err *err)
{
    AUTO_FREE char *line = malloc(EVENT_MAX_BYTES + 2);
    int rc = line ? 0 : err_set(err, -ENOMEM, "reference: no memory");
    bool skipping = false; /* the rest of a line that is too long */
    int64_t read = 0;
    while (!rc && gzgets(file, line, EVENT_MAX_BYTES + 2)) {
        size_t n = strlen(line);
        read += (int64_t)n;
        if (read > MAX_UNPACKED_BYTES)
            return err_set(err, ERR_DATA, "%s: more than 2 GiB of text", path);
        bool whole = n && line[n - 1] == '\n';
        if (!skipping && (whole || n <= EVENT_MAX_BYTES))
            rc = take_line(building, line, n, err);
        else
            building->counts->refused += !skipping;
        skipping = !whole && n > EVENT_MAX_BYTES;
    }
    return rc ? rc : gzip_failed(file, path, err);
}

int reference_from_file(struct reference **out, const struct reference_source *source,
                        const char *path, struct reference_counts *counts, struct err *err)
{
    AUTO(building) struct building *building = NULL;
    int rc = building_new(&building, source, counts, err);
    if (rc)
        return rc;
    gzFile file = gzopen(path, "rb");
    if (!file)
        return err_set(err, ERR_IO, "%s: %s", path, err_words(errno));
    rc = take_file(building, file, path, err);
    gzclose(file);
    return rc ? rc : finish(building, out, err);
}

/* zlib reads files: the bytes become one that only lives in memory. */
static int take_packed(struct building *building, const char *bytes, size_t n, struct err *err)
{
    AUTO_CLOSE int fd = memfd_create("reference", MFD_CLOEXEC);
    if (fd < 0)
        return err_set(err, -errno, "reference: no room to unpack it: %s", err_words(errno));
    while (n) {
        ssize_t written = write(fd, bytes, n);
        if (written <= 0)
            return err_set(err, -ENOMEM, "reference: no memory to unpack it");
        bytes += written;
        n -= (size_t)written;
    }
    gzFile file = lseek(fd, 0, SEEK_SET) == 0 ? gzdopen(fd, "rb") : NULL;
    if (!file)
        return err_set(err, -ENOMEM, "reference: no memory to unpack it");
    fd = -1; /* gzclose closes it */
    int rc = take_file(building, file, "the reference", err);
    gzclose(file);
    return rc;
}

int reference_from_text(struct reference **out, const struct reference_source *source,
                        const char *text, size_t n, struct reference_counts *counts,
                        struct err *err)
{
    AUTO(building) struct building *building = NULL;
    int rc = building_new(&building, source, counts, err);
    if (!rc && n > 2 && (unsigned char)text[0] == 0x1f && (unsigned char)text[1] == 0x8b) {
        rc = take_packed(building, text, n, err);
        n = 0;
    }
    while (!rc && n) {
        const char *end = memchr(text, '\n', n);
        size_t size = end ? (size_t)(end - text) + 1 : n;
        rc = take_line(building, text, size, err);
        text += size;
        n -= size;
    }
    return rc ? rc : finish(building, out, err);
}
