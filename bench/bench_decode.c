/*
 * What one event costs to decode and check: event_decode against a bare simdjson parse and against
 * jansson, over the same 4,096 different predictions with ten features (about 338 bytes each), in
 * the same run.
 *
 *     bench_decode [ROUNDS]
 */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "collector/event.h"
#include "collector/validate.h"

bool bare_simdjson_parse(const char *bytes, size_t n);

enum {
    N_EVENTS = 4096,
    EVENT_BYTES = 512,
};

static char events[N_EVENTS][EVENT_BYTES];
static size_t sizes[N_EVENTS];

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint64_t next_random(uint64_t below)
{
    static uint64_t state = 88172645463325252;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (state >> 11) % below;
}

static double share(void)
{
    return (double)next_random(1000000) / 1e6;
}

static void make_events(void)
{
    static const char *const cities[] = {"berlin", "paris", "gdansk", "lyon"};
    for (int i = 0; i < N_EVENTS; i++) {
        double score = share();
        int n =
            snprintf(events[i], EVENT_BYTES,
                     "{\"type\":\"prediction\",\"id\":\"%016" PRIx64 "\",\"ts\":%d000,"
                     "\"model\":\"credit\",\"version\":\"v%d\",\"unit\":\"user-%d\","
                     "\"features\":{\"income\":%.2f,\"age\":%d,\"city\":\"%s\",\"vip\":%s,"
                     "\"debt\":%.1f,\"ratio\":%.6f,\"days\":%d,\"delta\":%.3f,\"ref\":null,"
                     "\"plan\":\"gold\"},\"score\":%.6f,\"prediction\":%d,"
                     "\"latency_ms\":%.1f,\"segment\":{\"country\":\"de\"}}",
                     next_random(UINT64_MAX), 1700000000 + i, 3 + i % 2, (int)next_random(100000),
                     share() * 90000, (int)next_random(90), cities[next_random(4)],
                     next_random(2) ? "true" : "false", share() * 9000, share(),
                     (int)next_random(3000), share() * 8 - 4, score, score > 0.5, share() * 50);
        sizes[i] = (size_t)n;
    }
}

struct bench {
    struct decoder *decoder;
    struct feature_schema *schema;
};

typedef bool step_fn(struct bench *bench, int i);

static bool decode_step(struct bench *bench, int i)
{
    struct event event;
    return event_decode(bench->decoder, events[i], sizes[i], &event, NULL) == REJECT_NONE;
}

static bool validate_step(struct bench *bench, int i)
{
    struct event event;
    uint32_t features[EVENT_MAX_KEYS];
    if (event_decode(bench->decoder, events[i], sizes[i], &event, NULL))
        return false;
    event_validate(bench->schema, &event, features);
    return true;
}

static bool simdjson_step(struct bench *bench, int i)
{
    (void)bench;
    return bare_simdjson_parse(events[i], sizes[i]);
}

static bool jansson_step(struct bench *bench, int i)
{
    (void)bench;
    json_t *json = json_loadb(events[i], sizes[i], 0, NULL);
    json_decref(json);
    return json != NULL;
}

/* The best of `rounds`: other work on the machine only ever adds. */
static double best_us(step_fn *step, struct bench *bench, int rounds)
{
    double best = 1e9;
    for (int round = 0; round < rounds; round++) {
        int n_good = 0;
        double began = cpu_s();
        for (int i = 0; i < N_EVENTS; i++)
            n_good += step(bench, i);
        double us = (cpu_s() - began) / N_EVENTS * 1e6;
        if (n_good != N_EVENTS) {
            fprintf(stderr, "bench_decode: %d of %d events were refused\n", N_EVENTS - n_good,
                    N_EVENTS);
            return NAN;
        }
        best = us < best ? us : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        step_fn *step;
    } rows[] = {
        {"jansson_parse", jansson_step},
        {"simdjson_parse", simdjson_step},
        {"event_decode", decode_step},
        {"event_decode+validate", validate_step},
    };
    int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 200;
    struct bench bench = {NULL, NULL};
    double us[4];
    size_t bytes = 0;
    make_events();
    for (int i = 0; i < N_EVENTS; i++)
        bytes += sizes[i];
    if (decoder_new(&bench.decoder, NULL) ||
        feature_schema_new(&bench.schema, NULL, VALIDATE_MAX_FEATURES, NULL))
        return 70;

    printf("%d predictions, ten features, %.0f bytes each; best of %d rounds\n\n", N_EVENTS,
           (double)bytes / N_EVENTS, rounds);
    printf("| what | CPU-us an event | against jansson |\n|---|---|---|\n");
    for (int i = 0; i < 4; i++) {
        us[i] = best_us(rows[i].step, &bench, rounds);
        if (isnan(us[i]))
            return 70;
        printf("| %s | %.3f | %.1fx |\n", rows[i].name, us[i], us[0] / us[i]);
    }
    feature_schema_free(bench.schema);
    decoder_free(bench.decoder);
    return 0;
}
