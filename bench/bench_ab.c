/*
 * The error rates and speeds of docs/abtest.md, measured through the real decision code.
 *
 *     bench_ab [--runs N] [--table NAME] [--keep FILE] [--seconds N]    Markdown on standard output
 *
 * A long table can be made in pieces: --keep FILE has the runs that were played before, --seconds
 * ends a piece with exit 75; the piece that finds all runs in FILE prints the whole table.
 *
 * Tables: false-rollback, sticky, drift, detection, false-promotion, sequence, ramps, srm,
 * assignment, evidence
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/keep.h"
#include "bench/simulate.h"
#include "common/rng.h"
#include "stats/bucket.h"
#include "stats/distribution.h"

enum {
    LOOKS = 1800,
    EVENTS = 100, /* a second */
    EXIT_UNFINISHED = 75
};

struct bench {
    int runs;
    struct keep *keep;
};

static const char never[] = "\"min_duration\":\"9d\"";

struct summary {
    int runs, rolled_back, promoted, naive_harm, naive_safe, window_harm, srm;
    int at_step[SIMULATE_STEPS];
    int64_t *units, *seconds, *srm_units; /* of the runs that ended, sorted */
    int n_units, n_srm;
    double excess;
};

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static struct summary play(const struct bench *bench, const struct simulate_plan *plan)
{
    const int runs = bench->runs;
    struct summary s = {.runs = runs};
    struct simulation *simulation = simulation_new(plan);
    s.units = calloc((size_t)runs, sizeof(int64_t));
    s.seconds = calloc((size_t)runs, sizeof(int64_t));
    s.srm_units = calloc((size_t)runs, sizeof(int64_t));
    if (!simulation || !s.units || !s.seconds || !s.srm_units)
        abort();
    for (int i = 0; i < runs; i++) {
        struct simulate_result r;
        if (!keep_play(bench->keep, simulation, plan, (uint64_t)i + 1, &r)) {
            keep_close(bench->keep);
            exit(EXIT_UNFINISHED);
        }
        s.rolled_back += r.phase == RAMP_ROLLED_BACK;
        s.promoted += r.phase == RAMP_PROMOTED;
        s.at_step[r.step] += r.phase == RAMP_ROLLED_BACK;
        s.naive_harm += r.naive_harm;
        s.naive_safe += r.naive_safe;
        s.window_harm += r.window_harm;
        s.excess += (double)r.excess / runs;
        if (r.phase != RAMP_RUNNING) {
            s.seconds[s.n_units] = r.seconds;
            s.units[s.n_units++] = r.units;
        }
        s.srm += r.srm;
        if (r.srm)
            s.srm_units[s.n_srm++] = r.srm_units;
    }
    qsort(s.units, (size_t)s.n_units, sizeof(int64_t), ascending);
    qsort(s.seconds, (size_t)s.n_units, sizeof(int64_t), ascending);
    qsort(s.srm_units, (size_t)s.n_srm, sizeof(int64_t), ascending);
    simulation_free(simulation);
    return s;
}

static void finish(struct summary *s)
{
    free(s->units);
    free(s->seconds);
    free(s->srm_units);
}

/* The value below which `share` of all runs ended; -1 when fewer did. */
static int64_t quantile(const int64_t *sorted, int n, int runs, double share)
{
    int at = (int)ceil(share * runs) - 1;
    return at < n ? sorted[at < 0 ? 0 : at] : -1;
}

/* A dash where fewer runs than that ended. */
static const char *shown(char out[24], int64_t value)
{
    if (value < 0)
        return "–";
    snprintf(out, 24, "%" PRId64, value);
    return out;
}

static double percent(int count, int runs)
{
    return 100.0 * count / runs;
}

/* Clopper–Pearson: the largest rate that so few would be seen of in 1 % of such benches. */
static double upper_99(int count, int runs)
{
    return count >= runs ? 100 : 100 * beta_quantile(0.99, count + 1, runs - count);
}

static void object(char *out, size_t n, const char *steps, double alpha, const char *more)
{
    snprintf(out, n,
             "{\"name\":\"e\",\"model\":\"m\",\"control\":\"v1\",\"treatment\":\"v2\","
             "\"alpha\":%g,\"max_duration\":\"30d\",\"steps\":[%s],\"metrics\":[{\"metric\":"
             "\"error_rate\",\"margin_relative\":0.5%s}]}",
             alpha, steps, more);
}

static struct simulate_plan plan_of(const char *experiment, double rate_a, double rate_b)
{
    struct simulate_plan plan = {
        .experiment = experiment, .events_per_second = EVENTS, .seconds = LOOKS};
    for (int s = 0; s < SIMULATE_STEPS; s++) {
        plan.rate_a[s] = rate_a;
        plan.rate_b[s] = rate_b;
    }
    return plan;
}

static void table_false_rollback(const struct bench *bench)
{
    const int runs = bench->runs;
    printf(
        "\n**False rollback, A/A at 2 %%, a look every second** (%d runs, %d looks, %d events)\n\n"
        "| share | alpha | rolled back | upper 99 %% limit | naive z, every second | window 60 s "
        "> 3 %%, 5 checks |\n|---|---|---|---|---|---|\n",
        runs, LOOKS, LOOKS * EVENTS);
    for (int share = 5; share <= 50; share += 45)
        for (int a = 0; a < 2; a++) {
            char steps[96], text[512];
            snprintf(steps, sizeof(steps), "{\"weight\":%d,%s}", share, never);
            object(text, sizeof(text), steps, a ? 0.01 : 0.05, "");
            struct simulate_plan plan = plan_of(text, 0.02, 0.02);
            struct summary s = play(bench, &plan);
            printf("| %d %% | %g | **%.2f %%** | %.2f %% | %.1f %% | %.1f %% |\n", share,
                   a ? 0.01 : 0.05, percent(s.rolled_back, runs), upper_99(s.rolled_back, runs),
                   percent(s.naive_harm, runs), percent(s.window_harm, runs));
            fflush(stdout);
            finish(&s);
        }
}

static const char *const two_steps =
    "{\"weight\":5,\"min_duration\":\"10m\"},{\"weight\":50,\"min_duration\":\"9d\"}";

/* One row of the table; the naive rule's share of alarms at 5 % stands at its end. */
static void print_sticky(const struct bench *bench, double icc)
{
    double naive = 0;
    printf("| %g | %d |", icc, bench->runs);
    for (int kind = 0; kind < 3; kind++) {
        char steps[160], text[512];
        snprintf(steps, sizeof(steps), "{\"weight\":%d,%s}", kind ? 50 : 5, never);
        object(text, sizeof(text), kind == 2 ? two_steps : steps, 0.05, "");
        struct simulate_plan plan = plan_of(text, 0.02, 0.02);
        plan.users = 9000;
        plan.icc = icc;
        plan.seconds = 1200;
        struct summary s = play(bench, &plan);
        printf(" **%.2f %%** (≤ %.2f) |", percent(s.rolled_back, bench->runs),
               upper_99(s.rolled_back, bench->runs));
        fflush(stdout);
        naive = kind == 0 ? percent(s.naive_harm, bench->runs) : naive;
        finish(&s);
    }
    printf(" %.1f %% |\n", naive);
}

/* The icc that the targets name has all the runs; the others show what it hangs on. */
static void table_sticky(const struct bench *bench)
{
    const struct bench fewer = {(bench->runs + 19) / 20, bench->keep};
    printf("\n**Sticky users, false rollback, A/A at alpha .05** (9,000 users, lognormal activity, "
           "120,000 events)\n\n| icc | runs | 5 %% | 50 %% | ramp 5 → 50 | naive z at 5 %% |\n"
           "|---|---|---|---|---|---|\n");
    print_sticky(bench, 0.1);
    print_sticky(&fewer, 0);
    print_sticky(&fewer, 0.3);
}

static void table_drift(const struct bench *bench)
{
    const int runs = bench->runs;
    printf(
        "\n**Drift between steps, A/A at alpha .05**: both arms 2 %% at 5 %%, both 4 %% at 50 %% "
        "(%d runs)\n\n| rule | false rollback | upper 99 %% limit |\n|---|---|---|\n",
        runs);
    char text[512];
    object(text, sizeof(text), two_steps, 0.05, "");
    struct simulate_plan plan = plan_of(text, 0.02, 0.02);
    plan.rate_a[1] = plan.rate_b[1] = 0.04;
    plan.seconds = 2400;
    struct summary s = play(bench, &plan);
    printf("| e-process, steps multiplied | **%.2f %%** | %.2f %% |\n| naive z, steps pooled | "
           "%.1f %% | |\n",
           percent(s.rolled_back, runs), upper_99(s.rolled_back, runs),
           percent(s.naive_harm, runs));
    finish(&s);
}

static void table_detection(const struct bench *bench)
{
    const int runs = bench->runs;
    printf("\n**Detection at 5 %%, alpha .05, base 2 %%, harm margin 0** (%d runs): treatment "
           "units\n\n"
           "| true rate | median | 90 %% | 99 %% | median seconds |\n|---|---|---|---|---|\n",
           runs);
    const double rates[] = {0.03, 0.04, 0.06, 0.10, 1.0};
    for (int i = 0; i < 5; i++) {
        char steps[96], text[512];
        snprintf(steps, sizeof(steps), "{\"weight\":5,%s}", never);
        object(text, sizeof(text), steps, 0.05, "");
        struct simulate_plan plan = plan_of(text, 0.02, rates[i]);
        plan.seconds = 3 * LOOKS;
        struct summary s = play(bench, &plan);
        printf("| %g %% | **%" PRId64 "** | **%" PRId64 "** | %" PRId64 " | %" PRId64 " |\n",
               100 * rates[i], quantile(s.units, s.n_units, runs, 0.5),
               quantile(s.units, s.n_units, runs, 0.9), quantile(s.units, s.n_units, runs, 0.99),
               quantile(s.seconds, s.n_units, runs, 0.5));
        fflush(stdout);
        finish(&s);
    }
}

static void table_false_promotion(const struct bench *bench)
{
    const int runs = bench->runs;
    printf(
        "\n**Non-inferiority by +50 %% of 2 %%, alpha .05** (%d runs, %d looks; no rollback in "
        "the way: harm margin 200 %%)\n\n| share | promoted at the margin (true 3 %%) | upper 99 "
        "%% limit | naive z, peeked | truly equal: median treatment units | promoted |\n"
        "|---|---|---|---|---|---|\n",
        runs, 2 * LOOKS);
    for (int share = 5; share <= 50; share += 45) {
        char steps[96], text[512];
        snprintf(steps, sizeof(steps), "{\"weight\":%d,\"min_duration\":\"0s\"}", share);
        object(text, sizeof(text), steps, 0.05, ",\"harm_margin_relative\":2");
        struct simulate_plan plan = plan_of(text, 0.02, 0.03), equal = plan_of(text, 0.02, 0.02);
        plan.seconds = equal.seconds = 2 * LOOKS;
        struct summary s = play(bench, &plan), e = play(bench, &equal);
        printf("| %d %% | **%.2f %%** | %.2f %% | %.1f %% | %" PRId64 " | %.1f %% |\n", share,
               percent(s.promoted, runs), upper_99(s.promoted, runs), percent(s.naive_safe, runs),
               quantile(e.units, e.n_units, runs, 0.5), percent(e.promoted, runs));
        fflush(stdout);
        finish(&s);
        finish(&e);
    }
}

static void accuracy_object(char *out, size_t n, int share, const char *lasts, const char *harm)
{
    snprintf(out, n,
             "{\"name\":\"e\",\"model\":\"m\",\"control\":\"v1\",\"treatment\":\"v2\","
             "\"max_duration\":\"30d\",\"steps\":[{\"weight\":%d,\"min_duration\":\"%s\"}],"
             "\"metrics\":[{\"metric\":\"accuracy\",\"margin\":0.01,\"harm_margin\":%s}]}",
             share, lasts, harm);
}

static void table_sequence(const struct bench *bench)
{
    const int runs = bench->runs;
    printf(
        "\n**Accuracy (98 %%) by the confidence sequence, alpha .05** (%d runs, %d looks; margin "
        ".01)\n\n| share | false rollback, A/A | upper 99 %% limit | promoted at the margin (true "
        "97 %%) | upper 99 %% limit | 96 %% found after treatment units, median / 90 %% |\n"
        "|---|---|---|---|---|---|\n",
        runs, LOOKS);
    for (int share = 5; share <= 50; share += 45) {
        char quiet[512], open[512];
        accuracy_object(quiet, sizeof(quiet), share, "9d", "0");
        accuracy_object(open, sizeof(open), share, "0s", "0.5");
        struct simulate_plan aa = plan_of(quiet, 0.02, 0.02), margin = plan_of(open, 0.02, 0.03);
        struct simulate_plan harm = plan_of(quiet, 0.02, 0.04);
        aa.labels = margin.labels = harm.labels = true;
        struct summary s = play(bench, &aa), m = play(bench, &margin), h = play(bench, &harm);
        printf("| %d %% | **%.2f %%** | %.2f %% | **%.2f %%** | %.2f %% | %" PRId64 " / %" PRId64
               " |\n",
               share, percent(s.rolled_back, runs), upper_99(s.rolled_back, runs),
               percent(m.promoted, runs), upper_99(m.promoted, runs),
               quantile(h.units, h.n_units, runs, 0.5), quantile(h.units, h.n_units, runs, 0.9));
        fflush(stdout);
        finish(&s);
        finish(&m);
        finish(&h);
    }
}

static void table_ramps(const struct bench *bench)
{
    const int runs = bench->runs;
    printf(
        "\n**Whole ramps 5 → 50 → 100**, alpha .01, margin +50 %%, strict, bake 600 s a step, at "
        "most 7,200 s in all (%d runs)\n\n| true rate | rolled back at 5 / 50 / 100 | promoted | "
        "median seconds | mean excess failures |\n|---|---|---|---|---|\n",
        runs);
    const double rates[] = {0.016, 0.02, 0.022, 0.025, 0.03, 0.04, 0.06, 0.10};
    const char *steps = "{\"weight\":5,\"min_duration\":\"10m\"},{\"weight\":50,\"min_duration\":"
                        "\"10m\"},{\"weight\":100,\"min_duration\":\"10m\"}";
    for (int i = 0; i < 8; i++) {
        char text[512];
        object(text, sizeof(text), steps, 0.01, "");
        struct simulate_plan plan = plan_of(text, 0.02, rates[i]);
        plan.seconds = 7200;
        struct summary s = play(bench, &plan);
        printf("| %g %% | %.3f / %.3f / %.3f | **%.3f** | %" PRId64 " | %.0f |\n", 100 * rates[i],
               s.at_step[0] / (double)runs, s.at_step[1] / (double)runs,
               s.at_step[2] / (double)runs, s.promoted / (double)runs,
               quantile(s.seconds, s.n_units, runs, 0.5), s.excess);
        fflush(stdout);
        finish(&s);
    }
}

static void table_srm(const struct bench *bench)
{
    const int runs = bench->runs;
    printf(
        "\n**Sample ratio, p < .001, a look every second** (%d runs, %d looks)\n\n| asked | served "
        "| held | median units until then |\n|---|---|---|---|\n",
        runs, LOOKS);
    const struct {
        int share;
        double off;
    } cells[] = {{5, 0}, {50, 0}, {5, 0.01}, {5, 0.005}, {50, 0.02}};
    for (int i = 0; i < 5; i++) {
        char steps[96], text[512], when[24];
        snprintf(steps, sizeof(steps), "{\"weight\":%d,%s}", cells[i].share, never);
        object(text, sizeof(text), steps, 1e-9, "");
        struct simulate_plan plan = plan_of(text, 0.02, 0.02);
        plan.split_off = cells[i].off;
        struct summary s = play(bench, &plan);
        printf("| %d %% | %g %% | %.2f %% | %s |\n", cells[i].share,
               cells[i].share + 100 * cells[i].off, percent(s.srm, runs),
               shown(when, quantile(s.srm_units, s.n_srm, runs, 0.5)));
        fflush(stdout);
        finish(&s);
    }
}

static void table_assignment(const struct bench *bench)
{
    (void)bench;
    struct timespec from, to;
    double sum = 0;
    int n = 20000000;
    char unit[24] = "user-0123456789";
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < n; i++) {
        memcpy(unit + 5, &i, sizeof(i));
        sum += bucket_of("credit-v4", 9, unit, 15);
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    double ns = (double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec);
    printf("\n**Assignment**: %.1f ns a bucket (mean of %d buckets: %.5f)\n", ns / n, n, sum / n);
}

static double ms_since(const struct timespec *from)
{
    struct timespec to;
    clock_gettime(CLOCK_MONOTONIC, &to);
    return (double)(to.tv_sec - from->tv_sec) * 1e3 + (double)(to.tv_nsec - from->tv_nsec) / 1e6;
}

static void see_units(struct evidence *evidence, struct rng *rng, int n)
{
    struct observation o = {.stage = STAGE_PREDICTION,
                            .latency_ms = (double)NAN,
                            .score = (double)NAN,
                            .value = (double)NAN,
                            .covariate = (double)NAN};
    for (int i = 0; i < n; i++) {
        struct exposure x = {0, i % 2 ? ARM_TREATMENT : ARM_CONTROL, false, rng_u64(rng) | 1, 1};
        o.failed = i % 50 == 0;
        evidence_observe(evidence, &x, &o, 1, NULL);
    }
}

/* What a commit pays for the evidence, by how many units the experiment has seen. */
static void table_evidence(const struct bench *bench)
{
    (void)bench;
    printf(
        "\n**Evidence in a commit** with 2,000 new units, one metric\n\n| units seen | all of it: "
        "ms | bytes | what is new: ms | bytes |\n|---|---|---|---|---|\n");
    for (int n = 10000; n <= 4000000; n *= n == 1000000 ? 4 : 10) {
        char text[512];
        struct experiment *e = NULL;
        struct evidence *evidence = NULL;
        struct rng rng = rng_of(1);
        struct buf whole, parts;
        struct timespec from;
        bool all = false;
        object(text, sizeof(text), "{\"weight\":50}", 0.05, "");
        if (experiment_parse_text(&e, text, strlen(text), NULL) ||
            evidence_new(&evidence, e, 0, NULL))
            abort();
        buf_init(&whole, (size_t)1 << 30);
        buf_init(&parts, (size_t)1 << 30);
        see_units(evidence, &rng, n - 2000);
        evidence_save_units(evidence, &all, &parts);
        buf_clear(&parts);
        see_units(evidence, &rng, 2000);
        clock_gettime(CLOCK_MONOTONIC, &from);
        evidence_save(evidence, &whole);
        double whole_ms = ms_since(&from);
        clock_gettime(CLOCK_MONOTONIC, &from);
        evidence_save_counts(evidence, &parts);
        evidence_save_units(evidence, &all, &parts);
        printf("| %d | %.1f | %zu | %.2f | %zu |\n", n, whole_ms, whole.size, ms_since(&from),
               parts.size);
        fflush(stdout);
        buf_finish(&whole);
        buf_finish(&parts);
        evidence_free(evidence);
        experiment_free(e);
    }
}

static const struct {
    const char *name;
    void (*print)(const struct bench *bench);
} tables[] = {
    {"false-rollback", table_false_rollback},
    {"sticky", table_sticky},
    {"drift", table_drift},
    {"detection", table_detection},
    {"false-promotion", table_false_promotion},
    {"sequence", table_sequence},
    {"ramps", table_ramps},
    {"srm", table_srm},
    {"assignment", table_assignment},
    {"evidence", table_evidence},
};

struct options {
    int runs, seconds;
    const char *only, *keep;
};

static int number(const char *text)
{
    return (int)strtol(text, NULL, 10);
}

static bool options_read(struct options *out, int argc, char **argv)
{
    *out = (struct options){.runs = 1000};
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : "0";
        if (strcmp(argv[i], "--runs") == 0)
            out->runs = number(value);
        else if (strcmp(argv[i], "--seconds") == 0)
            out->seconds = number(value);
        else if (strcmp(argv[i], "--table") == 0)
            out->only = value;
        else if (strcmp(argv[i], "--keep") == 0)
            out->keep = value;
        else
            return false;
    }
    return out->runs >= 1;
}

int main(int argc, char **argv)
{
    struct options options;
    bool any = false;
    if (!options_read(&options, argc, argv)) {
        fprintf(stderr, "usage: bench_ab [--runs N] [--table NAME] [--keep FILE] [--seconds N]\n");
        return 64;
    }
    struct bench bench = {options.runs, keep_open(options.keep, options.seconds)};
    if (!bench.keep)
        return 74;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        if (!options.only || strcmp(options.only, tables[i].name) == 0) {
            tables[i].print(&bench);
            any = true;
        }
    if (!any)
        fprintf(stderr, "bench_ab: no table %s\n", options.only);
    keep_close(bench.keep);
    return any ? 0 : 64;
}
