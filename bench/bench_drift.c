/*
 * How long GET /models/M/drift takes: a database of one model with many features and windows is
 * made, then the same question is asked again and again, as a page does.
 *
 *     bench_drift [features 200] [windows 24] [events a window 5000] [half|numbers] [method auto] [DB]
 *     bench_drift all
 *
 * `all`: half and numbers, then wasserstein_norm and windows of few events, each a process of its own.
 * Half the features, or all, are numbers (normal, lognormal, few values), the others categories.
 * Up to 1,300 different numbers a window are kept as they are, more of them on the reference's grid.
 * `first` is the first answer of the process, `cold` the median of nine more that know nothing yet,
 * neither the reference nor the laws of the thresholds; `warm` is the same question again; `newest`
 * is what a page asks for after a commit has changed the last window. Of each: the wall clock, and
 * the CPU time of the whole process, which what else runs on the machine hardly changes. Two cores
 * share an answer's work, so that the wall clock of a quiet machine is the shorter of them. With DB,
 * a path, the database is made there and kept, and nothing is measured (bench/first_drift.py).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/rng.h"
#include "stats/metric.h"
#include "storage/commit.h"
#include "storage/profiles.h"
#include "storage/store.h"
#include "web/api.h"

#define HOUR_MS INT64_C(3600000)
#define START (INT64_C(1700000000000) / HOUR_MS * HOUR_MS)
#define MODEL "wide"

enum {
    MAX_FEATURES = 2000,
    REFERENCE_EVENTS = 10000,
    ROUNDS = 9
};

struct bench {
    struct store *store;
    int64_t series;
    uint32_t n_features;
    bool only_numbers;
    struct config *config;
    struct profile_feature features[MAX_FEATURES];
    struct profile_layout layout;
    struct reference *reference;
    int n_windows, n_events;
    char path[200];
};

static void must(int rc, const struct err *err)
{
    if (rc < 0) {
        fprintf(stderr, "bench_drift: %s\n", err->text);
        exit(1);
    }
}

struct took {
    double wall_ms, cpu_ms;
};

static double now_ms(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    return (double)at.tv_sec * 1e3 + (double)at.tv_nsec / 1e6;
}

static struct took now(void)
{
    return (struct took){now_ms(CLOCK_MONOTONIC), now_ms(CLOCK_PROCESS_CPUTIME_ID)};
}

static bool is_numeric(const struct bench *bench, uint32_t feature)
{
    return bench->only_numbers || feature % 2 == 0;
}

static void fold(struct profile *profile, const struct bench *bench, int n, uint64_t seed)
{
    struct rng rng = rng_of(seed);
    for (int e = 0; e < n; e++) {
        profile_event(profile, 1);
        for (uint32_t f = 0; f < bench->n_features; f++) {
            double x = rng_normal(&rng);
            int rc = 0;
            if (is_numeric(bench, f))
                rc = profile_number(profile, f,
                                    f % 6 == 2   ? exp(x)
                                    : f % 6 == 4 ? rint(3 * x)
                                                 : x,
                                    1);
            else
                rc = profile_category(profile, f, 1 + (uint64_t)(fabs(x) * (f % 40 + 2)), 1);
            if (rc)
                exit(1);
        }
    }
}

static void make(struct bench *bench)
{
    struct err err = {0};
    char name[20];
    static const struct model_row row = {MODEL, "binary", "1", 0.5, 7 * 24 * HOUR_MS};
    must(store_open(&bench->store, bench->path, STORE_WRITE, &err), &err);
    must(commit_begin(bench->store, &err), &err);
    must(commit_model(bench->store, &row, &err), &err);
    must(commit_series(bench->store, MODEL, "v1", "", &bench->series, &err), &err);
    for (uint32_t f = 0; f < bench->n_features; f++) {
        snprintf(name, sizeof(name), "f%03u", f);
        uint64_t id = class_id(name, strlen(name));
        bench->features[f] = (struct profile_feature){
            .name_id = id,
            .kind = is_numeric(bench, f) ? PROFILE_NUMERIC : PROFILE_CATEGORICAL,
            .min = (double)NAN,
            .max = (double)NAN};
        must(commit_name(bench->store, MODEL, "feature", id, view_of(name), &err), &err);
    }
    bench->layout = (struct profile_layout){0, bench->n_features, bench->features};
    AUTO(profile) struct profile *all = NULL;
    must(profile_new(&all, &bench->layout, PROFILE_REFERENCE, &err), &err);
    fold(all, bench, REFERENCE_EVENTS, 1);
    must(reference_build(&bench->reference, all, 0, &err), &err);
    must(commit_reference(bench->store, MODEL, "", bench->reference, "file", 1, &err), &err);
    must(commit_end(bench->store, &err), &err);
    reference_layout(bench->reference, &bench->layout, bench->features);
}

static void write_window(struct bench *bench, int window, int n_events, uint64_t seed)
{
    struct err err = {0};
    struct metric_setup setup = {
        .task = TASK_BINARY, .positive = class_id("1", 1), .threshold = 0.5};
    AUTO(profile) struct profile *profile = NULL;
    AUTO(states) struct states *states = NULL;
    struct buf bytes, state;
    buf_init(&bytes, 1 << 26);
    buf_init(&state, 1 << 20);
    must(profile_new(&profile, &bench->layout, PROFILE_HOUR, &err), &err);
    must(states_new(&states, &setup, &err), &err);
    fold(profile, bench, n_events, seed);
    profile_save(profile, &bytes);
    states_save(states, &state);
    int64_t at = START + window * HOUR_MS;
    must(commit_begin(bench->store, &err), &err);
    must(commit_pane(bench->store, bench->series, HOUR_MS, at, state.data, state.size, &err), &err);
    must(commit_profile(bench->store, bench->series, HOUR_MS, at, PROFILE_FEATURES, bytes.data,
                        bytes.size, &err),
         &err);
    must(commit_fact(bench->store, "watermark_ms", at + HOUR_MS - 1, &err), &err);
    must(commit_end(bench->store, &err), &err);
    buf_finish(&bytes);
    buf_finish(&state);
}

static struct took ask(struct api_context *api, const struct bench *bench, size_t *size)
{
    char target[200];
    struct api_answer answer;
    struct err err = {0};
    snprintf(target, sizeof(target), "/api/v1/models/" MODEL "/drift?from=%lld&to=%lld&window=1h",
             (long long)START, (long long)(START + bench->n_windows * HOUR_MS));
    struct api_request request = {.method = "GET", .target = target, .body = ""};
    struct took start = now();
    api_answer_init(&answer);
    must(api_call(api, &request, &answer, &err), &err);
    struct took end = now();
    *size = answer.body.size;
    api_answer_finish(&answer);
    return (struct took){end.wall_ms - start.wall_ms, end.cpu_ms - start.cpu_ms};
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

struct times {
    struct took of[ROUNDS];
};

/* Of each clock its own. */
static struct took median(const struct times *times)
{
    double wall[ROUNDS], cpu[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        wall[i] = times->of[i].wall_ms;
        cpu[i] = times->of[i].cpu_ms;
    }
    qsort(wall, ROUNDS, sizeof(wall[0]), by_value);
    qsort(cpu, ROUNDS, sizeof(cpu[0]), by_value);
    return (struct took){wall[ROUNDS / 2], cpu[ROUNDS / 2]};
}

static void tell(const char *what, struct took took)
{
    printf("  %-22s %7.1f ms, CPU %7.1f ms\n", what, took.wall_ms, took.cpu_ms);
}

static struct api_context *open_api(const struct bench *bench)
{
    struct err err = {0};
    struct api_context *api = NULL;
    struct api_options options = {.store_path = bench->path, .config = bench->config};
    must(api_open(&api, &options, &err), &err);
    return api;
}

static struct took ask_first(const struct bench *bench, size_t *size)
{
    struct api_context *api = open_api(bench);
    struct took took = ask(api, bench, size);
    api_close(api);
    return took;
}

static void measure(struct bench *bench)
{
    struct times cold, warm, newest;
    size_t size;
    struct took first = ask_first(bench, &size);
    for (int i = 0; i < ROUNDS; i++)
        cold.of[i] = ask_first(bench, &size);
    struct api_context *api = open_api(bench);
    ask(api, bench, &size);
    for (int i = 0; i < ROUNDS; i++)
        warm.of[i] = ask(api, bench, &size);
    for (int i = 0; i < ROUNDS; i++) {
        write_window(bench, bench->n_windows - 1, bench->n_events / 2 + i, 1000 + (uint64_t)i);
        newest.of[i] = ask(api, bench, &size);
    }
    api_close(api);
    printf("%u features x %d windows of %d events; answer %.1f MB\n", bench->n_features,
           bench->n_windows, bench->n_events, (double)size / 1e6);
    tell("first", first);
    tell("cold", median(&cold));
    tell("warm", median(&warm));
    tell("newest window changed", median(&newest));
}

static void configure(struct bench *bench, const char *method)
{
    struct err err = {0};
    char yaml[500];
    int n = snprintf(yaml, sizeof(yaml),
                     "kafka: {brokers: \"127.0.0.1:9092\", topics: [{name: a}]}\n"
                     "models: [{name: " MODEL ", task: binary, positive: \"1\", "
                     "drift: {method: %s}}]\n",
                     method);
    must(config_parse(&bench->config, "bench.yaml", yaml, (size_t)n, &err), &err);
}

static int run(int argc, const char *const *argv)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    char folder[] = "/tmp/bench-drift-XXXXXX", command[300];
    if (!bench || !mkdtemp(folder))
        return 1;
    bench->n_features = argc > 1 ? (uint32_t)atoi(argv[1]) : 200;
    bench->n_windows = argc > 2 ? atoi(argv[2]) : 24;
    bench->n_events = argc > 3 ? atoi(argv[3]) : 5000;
    bench->only_numbers = argc > 4 && strcmp(argv[4], "numbers") == 0;
    if (bench->n_features > MAX_FEATURES)
        return 2;
    configure(bench, argc > 5 ? argv[5] : "auto");
    bool keep = argc > 6;
    snprintf(bench->path, sizeof(bench->path), "%s%s", keep ? argv[6] : folder,
             keep ? "" : "/a.db");
    make(bench);
    for (int w = 0; w < bench->n_windows; w++)
        write_window(bench, w, bench->n_events + w * 7, 2 + (uint64_t)w);
    if (!keep)
        measure(bench);
    store_free(bench->store);
    reference_free(bench->reference);
    config_free(bench->config);
    free(bench);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command) ? 1 : 0;
}

/* Each in a process of its own: `first` is the first of one. */
static int run_all(void)
{
    static const char *const cases[][6] = {
        {"", "200", "24", "5000", "half", "auto"},
        {"", "200", "24", "5000", "numbers", "auto"},
        {"", "200", "24", "5000", "half", "wasserstein_norm"},
        {"", "200", "24", "50", "half", "auto"},
    };
    int failed = 0;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int status = 1;
        printf("%s, %s: ", cases[i][4], cases[i][5]);
        fflush(stdout);
        pid_t child = fork();
        if (child == 0)
            exit(run(6, cases[i]));
        failed |= child < 0 || waitpid(child, &status, 0) < 0 || status != 0;
    }
    return failed;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "all") == 0)
        return run_all();
    return run(argc, (const char *const *)argv);
}
