#include "tests/collector/decider.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "storage/audit.h"
#include "storage/lend.h"
#include "storage/outbox.h"
#include "tests/lib/credit_log.h"
#include "tests/test.h"

static int write_letter(struct store *store, int64_t look_ms, struct err *err)
{
    char group[32];
    snprintf(group, sizeof(group), "%lld", (long long)look_ms);
    const struct outbox_row row = {
        .receiver = "oncall", .group_key = group, .type = "alert.firing", .data = "{}"};
    return commit_outbox(store, &row, err);
}

struct evidence {
    char text[160];
};

/* What a look covers, as the rows say. */
static struct evidence evidence_of(const struct decider *decider)
{
    struct evidence evidence;
    snprintf(evidence.text, sizeof(evidence.text), "%lld: %lld consumed, %lld panes of %lld bytes",
             (long long)decider->decided,
             (long long)bench_number(decider->bench, "SELECT sum(consumed) FROM offsets"),
             (long long)bench_number(decider->bench, "SELECT count(*) FROM panes"),
             (long long)bench_number(decider->bench, "SELECT sum(length(state)) FROM panes"));
    return evidence;
}

static int write_decision(struct decider *decider, int64_t look_ms, const struct evidence *evidence,
                          struct err *err)
{
    struct store *store = decider->bench->store;
    const struct audit_row row = {.at_ms = look_ms,
                                  .clock = "event",
                                  .who = "decider",
                                  .action = "look",
                                  .subject = "credit",
                                  .detail = evidence->text};
    int rc = commit_begin(store, err);
    if (!rc)
        rc = commit_audit(store, &row, err);
    if (!rc && look_ms % 3000 == 0)
        rc = write_letter(store, look_ms, err);
    const bool much = decider->much && look_ms / 1000 % decider->much == 0;
    for (int i = 0; i < 1000 && !rc && much; i++)
        rc = commit_fact(store, "much", i, err);
    if (!rc && decider->fails_at && decider->n_looks == decider->fails_at)
        rc = err_set(err, decider->fails_with, "this look fails");
    if (!rc)
        rc = commit_end(store, err);
    if (rc)
        commit_rollback(store);
    return rc;
}

/* The reading goes on first, mostly, and comes to the next look. */
static int write_lent(void *context, struct store *store, struct err *err)
{
    struct decider *decider = context;
    const struct evidence evidence = evidence_of(decider); /* before the next look writes more */
    for (int i = 0; i < 3; i++) {
        sched_yield();
        store_pause(store);
    }
    int rc = write_decision(decider, decider->lent_look_ms, &evidence, err);
    decider->decided += rc == 0;
    return rc;
}

static int decide(void *context, int64_t look_ms, int64_t *next_look_ms, struct err *err)
{
    struct decider *decider = context;
    (void)next_look_ms;
    store_recall(decider->bench->store); /* decisions come in the order of their looks */
    decider->n_looks++;
    /* After a crash the last look may be taken again; nobody decides twice by it. */
    if (look_ms <= bench_number(decider->bench, "SELECT max(at_ms) FROM audit"))
        return 0;
    if (decider->faulty && decider->n_looks == decider->fails_at)
        faulty_fail(decider->faulty, FAULTY_WRITE, 1, ENOSPC, true);
    decider->lent_look_ms = look_ms;
    if (decider->lends)
        return store_lend(decider->bench->store, write_lent, decider, err);
    const struct evidence evidence = evidence_of(decider);
    int rc = write_decision(decider, look_ms, &evidence, err);
    decider->decided += rc == 0;
    if (decider->spy)
        decider->spy(decider);
    return rc;
}

static void durable(void *context)
{
    struct decider *decider = context;
    decider->settled = decider->decided;
    decider->n_durable++;
}

static void undone(void *context)
{
    struct decider *decider = context;
    decider->decided = decider->settled;
    decider->n_undone++;
}

static const struct credit_log plan = {.n_predictions = 200, .n_partitions = 2, .seed = 7};
const struct sim_options decider_options = {
    .seed = 1, .max_batch = 40, .ends = true, .bounded = true};

void decider_open(struct collector_bench *bench, struct decider *decider, struct temp *temp,
                  struct sim_log *log, const struct sim_options *options, bool apart)
{
    const struct collector_options wanted = {
        .context = decider,
        .at_look = decide,
        .looks_durable = durable,
        .looks_undone = undone,
        .looks_apart = apart,
    };
    bench_open_wanting(bench, temp, log, options, &wanted);
    decider->bench = bench;
    decider->decided = decider->settled = bench_number(bench, "SELECT count(*) FROM audit");
}

int decider_fill_log(void **state)
{
    struct sim_log *log = calloc(1, sizeof(*log));
    assert_non_null(log);
    credit_log_fill(log, &plan);
    *state = log;
    return 0;
}

int decider_drop_log(void **state)
{
    sim_log_finish(*state);
    free(*state);
    return 0;
}
