/*
 * The whole pipeline but Kafka, in one process: decode, check, join, fold and commit, from a log
 * that is made while it is read.
 *
 *     bench_collector [profiles] [pending] [panes]      default: these three
 *
 * profiles  what the feature profiles that drift is computed from cost: the same log without them
 *           (what folds them is wrapped away), with them, and with a reference loaded
 * pending   the same mix of predictions and labels while 10 thousand, 1 and 5 million predictions
 *           wait: a label comes that many predictions after its own
 * panes     bytes of memory that a feature takes in a minute's and in an hour's pane
 * away, kept, grid    one pass of that third of `profiles`, and
 * dense, watched    one on the grid with 5,000 predictions a second of event time, without and with
 *           `changes` for every feature and metric; to count instructions:
 *           valgrind --tool=callgrind --toggle-collect=collector_step bench_collector grid
 *
 * CPU time of the ingest thread, commits included, less what making the log takes; the best of
 * some rounds that take turns. Prints Markdown.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collector/collect.h"
#include "collector/fold.h"
#include "collector/reference_file.h"
#include "common/rng.h"
#include "stats/profile.h"
#include "storage/commit.h"

enum {
    N_TEMPLATES = 4096,
    EVENT_BYTES = 400,
    BATCH = 2048,
    ROUNDS = 3,
};
#define START_MS INT64_C(1700000000000)
#define SPACE "000000000000"

static const char yaml[] =
    "storage: {path: unused}\n"
    "models:\n"
    "  - name: credit\n"
    "    task: binary\n"
    "    positive: 1\n"
    "    label_horizon: 7d\n"
    "    features: {f0: {type: numeric, min: -1e6, max: 1e6}, f1: {type: numeric},\n"
    "      f2: {type: numeric}, f3: {type: numeric}, f4: {type: numeric}, f5: {type: numeric},\n"
    "      f6: {type: numeric}, f7: {type: numeric}, plan: {type: categorical},\n"
    "      city: {type: categorical, values: [berlin, paris, gdansk, lyon]}}\n";
static const char changes_yaml[] = "    changes: {expected_run_time: 1000000}\n";

/* ---- the log ---- */

struct template
{
    char text[EVENT_BYTES];
    size_t size;
};

struct feed {
    struct source source;
    const struct source_events *events;
    struct template *templates;
    char *bytes; /* of the batch */
    struct message messages[BATCH];
    int64_t offset;
    int64_t n_predictions, n_labels; /* so far */
    int64_t until, lag;              /* predictions wanted; a label that many after its own */
    double step_ms;                  /* event time from one prediction to the next */
    double spent_s;                  /* in making it */
};

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void must(int rc, const struct err *err)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "bench_collector: %s\n", err->text);
    exit(1);
}

static void *room(size_t n)
{
    void *made = calloc(1, n);
    if (!made)
        abort();
    return made;
}

static void make_templates(struct template *templates)
{
    static const char *const cities[] = {"berlin", "paris", "gdansk", "lyon"};
    static const char *const plans[] = {"free", "pro", "team"};
    struct rng rng = rng_of(1);
    for (int i = 0; i < N_TEMPLATES; i++) {
        double f[8], score = rng_uniform(&rng);
        for (int k = 0; k < 8; k++)
            f[k] = rng_uniform(&rng) * 1000;
        int n = snprintf(templates[i].text, EVENT_BYTES,
                         "{\"type\":\"prediction\",\"id\":\"" SPACE
                         "\",\"ts\":1700000000000,\"model\":\"credit\",\"version\":\"v%d\","
                         "\"features\":{\"f0\":%.4f,\"f1\":%.4f,\"f2\":%.4f,\"f3\":%.4f,"
                         "\"f4\":%.4f,\"f5\":%.4f,\"f6\":%.4f,\"f7\":%.4f,\"city\":\"%s\","
                         "\"plan\":\"%s\"},\"score\":%.6f,\"prediction\":%d,\"latency_ms\":%.3f}",
                         3 + i % 3, f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7], cities[i % 4],
                         plans[i % 3], score, score > 0.5, rng_uniform(&rng) * 50);
        if (n < 0 || n >= EVENT_BYTES)
            abort();
        templates[i].size = (size_t)n;
    }
}

static void put_digits(char *at, int n, int64_t number)
{
    for (int i = n; i-- > 0; number /= 10)
        at[i] = (char)('0' + number % 10);
}

static size_t put_prediction(const struct feed *feed, char *to)
{
    const struct template *from =
        &feed->templates[(feed->n_predictions * 2654435761U >> 8) % N_TEMPLATES];
    memcpy(to, from->text, from->size);
    put_digits(to + 27, 12, feed->n_predictions);
    put_digits(to + 46, 13, START_MS + (int64_t)((double)feed->n_predictions * feed->step_ms));
    return from->size;
}

static size_t put_label(const struct feed *feed, char *to)
{
    static const char text[] =
        "{\"type\":\"label\",\"id\":\"" SPACE "\",\"ts\":1700000000000,\"label\":0}";
    memcpy(to, text, sizeof(text) - 1);
    put_digits(to + 22, 12, feed->n_labels);
    put_digits(to + 41, 13, START_MS + (int64_t)((double)feed->n_predictions * feed->step_ms));
    to[sizeof(text) - 3] = (char)('0' + feed->n_labels * 7 % 3 % 2);
    return sizeof(text) - 1;
}

static int feed_next(struct source *source, int timeout_ms, struct batch *out, struct err *err)
{
    struct feed *feed = (struct feed *)source;
    double began = cpu_s();
    size_t n = 0;
    (void)timeout_ms;
    (void)err;
    for (; n < BATCH && feed->n_predictions < feed->until; n++) {
        char *to = feed->bytes + n * EVENT_BYTES;
        bool label = feed->lag >= 0 && feed->n_predictions - feed->n_labels > feed->lag;
        size_t size = label ? put_label(feed, to) : put_prediction(feed, to);
        *(label ? &feed->n_labels : &feed->n_predictions) += 1;
        feed->messages[n] = (struct message){
            .payload = to,
            .size = size,
            .offset = feed->offset++,
            .timestamp_ms = SOURCE_NO_TIMESTAMP,
        };
    }
    *out = (struct batch){0, feed->messages, n, -1, -1};
    feed->spent_s += cpu_s() - began;
    return n ? SOURCE_BATCH : 0;
}

static int feed_start(struct source *source, const struct source_events *events, struct err *err)
{
    struct feed *feed = (struct feed *)source;
    (void)err;
    feed->events = events;
    events->assigned(events->context, 0, "made", 0);
    return 0;
}

static void feed_state(struct source *source, struct source_state *out)
{
    (void)source;
    *out = (struct source_state){.ready = true, .n_partitions = 1};
}

static void feed_close(struct source *source)
{
    (void)source; /* the bench owns it */
}

/* ---- profiles away ---- */

static bool profiles_away;

int __real_fold_features(struct panes *fold, const struct fold_target *target, int64_t ts_ms,
                         const struct features *features, struct err *err);
int __wrap_fold_features(struct panes *fold, const struct fold_target *target, int64_t ts_ms,
                         const struct features *features, struct err *err);
int __wrap_fold_features(struct panes *fold, const struct fold_target *target, int64_t ts_ms,
                         const struct features *features, struct err *err)
{
    return profiles_away ? 0 : __real_fold_features(fold, target, ts_ms, features, err);
}

int __real_fold_label_value(struct panes *fold, const struct fold_target *target, int64_t ts_ms,
                            const struct profile_item *item, int sign, struct err *err);
int __wrap_fold_label_value(struct panes *fold, const struct fold_target *target, int64_t ts_ms,
                            const struct profile_item *item, int sign, struct err *err);
int __wrap_fold_label_value(struct panes *fold, const struct fold_target *target, int64_t ts_ms,
                            const struct profile_item *item, int sign, struct err *err)
{
    return profiles_away ? 0 : __real_fold_label_value(fold, target, ts_ms, item, sign, err);
}

/* ---- one collector ---- */

enum profiling_kind {
    AWAY,
    KEPT,
    GRID,
    DENSE,
    WATCHED
};

struct run {
    char path[64];
    struct config *config;
    struct store *store;
    struct feed *feed;
    struct source *source;
    struct collector *collector;
    bool looks; /* events wait for them */
};

static void add_reference(struct run *run, struct err *err)
{
    enum {
        N = 20000
    };
    struct reference *reference = NULL;
    struct reference_counts counts;
    struct reference_source about = {
        .model = "credit", .config = &run->config->models[0], .task = "binary"};
    struct feed *feed = run->feed;
    char *text = room((size_t)N * EVENT_BYTES);
    size_t n = 0;
    for (int i = 0; i < N; i++) {
        n += put_prediction(feed, text + n);
        text[n++] = '\n';
        feed->n_predictions++;
    }
    feed->n_predictions = 0;
    must(reference_from_text(&reference, &about, text, n, &counts, err), err);
    must(commit_begin(run->store, err), err);
    must(commit_reference(run->store, "credit", NULL, reference, "bench", START_MS, err), err);
    must(commit_end(run->store, err), err);
    reference_free(reference);
    free(text);
}

static void run_open(struct run *run, double step_ms, enum profiling_kind kind)
{
    struct err err = {0};
    *run = (struct run){.looks = kind == WATCHED};
    snprintf(run->path, sizeof(run->path), "/tmp/assay-bench-%d.db", (int)getpid());
    char text[sizeof(yaml) + sizeof(changes_yaml)];
    int n = snprintf(text, sizeof(text), "%s%s", yaml, kind == WATCHED ? changes_yaml : "");
    must(config_parse(&run->config, "bench", text, (size_t)n, &err), &err);
    must(store_open(&run->store, run->path, STORE_WRITE, &err), &err);
    struct feed *feed = run->feed = room(sizeof(*feed));
    feed->source = (struct source){.name = "made",
                                   .start = feed_start,
                                   .next = feed_next,
                                   .state = feed_state,
                                   .close = feed_close};
    feed->templates = room(N_TEMPLATES * sizeof(*feed->templates));
    feed->bytes = room((size_t)BATCH * EVENT_BYTES);
    feed->step_ms = step_ms;
    feed->lag = -1;
    make_templates(feed->templates);
    if (kind >= GRID)
        add_reference(run, &err);
    run->source = &feed->source;
    struct collector_options options = {
        .config = run->config, .store = run->store, .sources = &run->source, .n_sources = 1};
    must(collector_new(&run->collector, &options, &err), &err);
}

static void run_close(struct run *run)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    collector_free(run->collector);
    store_free(run->store);
    config_free(run->config);
    free(run->feed->templates);
    free(run->feed->bytes);
    free(run->feed);
    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
        char path[96];
        snprintf(path, sizeof(path), "%s%s", run->path, ends[i]);
        (void)unlink(path);
    }
    char lock[96];
    snprintf(lock, sizeof(lock), "%s.lock", run->path);
    (void)unlink(lock);
}

/* CPU-µs an event, commits included, until there are n predictions. */
static double take(struct run *run, int64_t until, int64_t lag)
{
    struct err err = {0};
    struct feed *feed = run->feed;
    feed->until = until;
    feed->lag = lag;
    feed->spent_s = 0;
    int64_t before = feed->n_predictions + feed->n_labels;
    double began = cpu_s();
    while (feed->n_predictions < until)
        must(collector_step(run->collector, 0, &err), &err);
    while (run->looks && collector_step(run->collector, 0, &err) == COLLECTOR_WORKED)
        continue; /* what was put aside until a look */
    must(collector_commit_now(run->collector, &err), &err);
    double took = cpu_s() - began - feed->spent_s;
    return took / (double)(feed->n_predictions + feed->n_labels - before) * 1e6;
}

/* ---- the three ---- */

static double cost_of(enum profiling_kind kind)
{
    struct run run;
    profiles_away = kind == AWAY;
    run_open(&run, kind >= DENSE ? 0.2 : 20, kind);
    (void)take(&run, 20000, 5000);
    double cost = take(&run, 220000, 5000);
    run_close(&run);
    profiles_away = false;
    return cost;
}

static void bench_profiles(void)
{
    double best[3] = {1e9, 1e9, 1e9};
    for (int round = 0; round < ROUNDS; round++) {
        for (int which = 0; which < 3; which++) {
            double cost = cost_of((enum profiling_kind)which);
            best[which] = cost < best[which] ? cost : best[which];
        }
    }
    printf("| ten features, profiles away | %.2f µs an event | |\n", best[0]);
    printf("| with profiles | %.2f µs, %.0f%% slower | |\n", best[1],
           (1 - best[0] / best[1]) * 100);
    printf("| with profiles on a reference's grid | %.2f µs, %.0f%% slower | ≤ 25%% |\n", best[2],
           (1 - best[0] / best[2]) * 100);
}

static double cost_at(int64_t pending)
{
    struct run run;
    run_open(&run, 0.2, KEPT);
    (void)take(&run, pending, -1);
    run.feed->lag = pending;
    double cost = take(&run, pending + 200000, pending);
    run_close(&run);
    return cost;
}

static void bench_pending(void)
{
    static const int64_t sizes[] = {10000, 1000000, 5000000};
    double best[3] = {1e9, 1e9, 1e9};
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3; i++) {
            double cost = cost_at(sizes[i]);
            best[i] = cost < best[i] ? cost : best[i];
        }
    }
    for (int i = 0; i < 3; i++)
        printf("| an event with %" PRId64 " pending | %.2f µs, %.0f%% slower | %s |\n", sizes[i],
               best[i], (1 - best[0] / best[i]) * 100, i == 2 ? "≤ 15%" : "");
}

static size_t most_bytes(enum profile_level level, const struct grid *grid, int n)
{
    struct profile_feature features[2] = {
        {.name_id = 1, .kind = PROFILE_NUMERIC, .min = -1e9, .max = 1e9, .grid = grid},
        {.name_id = 2, .kind = PROFILE_CATEGORICAL}};
    struct profile_layout layout = {grid ? 7 : 0, 2, features};
    struct err err = {0};
    struct profile *profile = NULL;
    struct rng rng = rng_of(3);
    size_t most = 0;
    must(profile_new(&profile, &layout, level, &err), &err);
    for (int i = 0; i < n; i++) {
        must(profile_number(profile, 0, rng_normal(&rng) * 100, 1), &err);
        must(profile_category(profile, 1, rng_u64(&rng) | 1, 1), &err);
        for (uint32_t f = 0; i % 100 == 0 && f < 2; f++) {
            size_t bytes = profile_bytes(profile, f);
            most = bytes > most ? bytes : most;
        }
    }
    profile_free(profile);
    return most;
}

static void bench_panes(void)
{
    struct err err = {0};
    struct cells cells;
    struct rng rng = rng_of(2);
    struct grid *grid = NULL;
    cells_init(&cells, 16384);
    for (int i = 0; i < 50000; i++)
        must(cells_update(&cells, rng_normal(&rng) * 100, 1), &err);
    struct cell *sorted = room(20000 * sizeof(*sorted));
    must(grid_build(&grid, sorted, cells_read(&cells, sorted), GRID_MAX_CELLS, &err), &err);
    size_t minute = most_bytes(PROFILE_MINUTE, NULL, 30000);
    size_t minute_on = most_bytes(PROFILE_MINUTE, grid, 30000);
    size_t hour = most_bytes(PROFILE_HOUR, NULL, 300000);
    size_t hour_on = most_bytes(PROFILE_HOUR, grid, 300000);
    printf(
        "| memory a (feature, minute pane), at most; with a reference | %zu; %zu bytes | ≤ 2,048 "
        "|\n",
        minute, minute_on);
    printf("| memory a (feature, hour pane), at most; with a reference | %zu; %zu bytes | ≤ 24,576 "
           "|\n",
           hour, hour_on);
    grid_free(grid);
    cells_finish(&cells);
    free(sorted);
}

static int one_pass(const char *name)
{
    static const char *const names[] = {"away", "kept", "grid", "dense", "watched"};
    for (int kind = AWAY; kind <= WATCHED; kind++) {
        if (strcmp(name, names[kind]) == 0) {
            printf("%s: %.2f µs an event\n", name, cost_of((enum profiling_kind)kind));
            return 0;
        }
    }
    return 1;
}

static bool wanted(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc == 1;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0); /* row by row, also into a pipe */
    if (argc == 2 && one_pass(argv[1]) == 0)
        return 0;
    printf("| what | figure | aim |\n|---|---|---|\n");
    if (wanted(argc, argv, "profiles"))
        bench_profiles();
    if (wanted(argc, argv, "pending"))
        bench_pending();
    if (wanted(argc, argv, "panes"))
        bench_panes();
    return 0;
}
