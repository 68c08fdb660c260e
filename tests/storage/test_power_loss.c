/*
 * F30: the power goes at any instant. A writer commits, checkpoints, opens and closes; what reached
 * the disk is recorded; then images that a power loss could have left are drawn, each is opened as
 * a restarted daemon would, and must hold exactly some commit, none older than the last one that
 * was acknowledged.
 *
 * ASSAY_IMAGES sets how many (2,400 otherwise; gates: 50,000, nightly 1,000,000), ASSAY_SEED where
 * they start.
 */
#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "storage/commit.h"
#include "storage/store.h"
#include "tests/lib/crash_disk.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

enum {
    N_COMMITS = 40,
    N_SERIES = 5
};

static int64_t from_environment(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoll(text, NULL, 10) : otherwise;
}

/* The bytes of pane `series` as commit `number` left it: any size up to a few pages. */
static size_t pane_bytes(char *out, int64_t number, int64_t series)
{
    size_t n = 40 + (size_t)((number * 7919 + series * 104729) % 9000);
    for (size_t i = 0; i < n; i++)
        out[i] = (char)('a' + (number + series + (int64_t)i) % 26);
    snprintf(out, 24, "%" PRId64 ",%" PRId64 ".", number, series);
    return n;
}

static void commit_number(struct store *store, int64_t number, const int64_t *series)
{
    char bytes[10000];
    struct err err = {0};
    const struct partition_counts counts = {.consumed = number, .folded = number};
    const struct dead_letter_row row = {"t", 0, number, number, "not_json", NULL, {"{", 1}};
    must(commit_begin(store, &err), &err);
    for (int i = 0; i < N_SERIES; i++) {
        size_t n = pane_bytes(bytes, number, series[i]);
        must(commit_pane(store, series[i], MINUTE, MINUTE * (number / 10), bytes, n, &err), &err);
        must(commit_pane(store, series[i], HOUR, 0, bytes, n, &err), &err);
    }
    must(commit_pending_append(store, (uint32_t)(number / 10), bytes, 100, &err), &err);
    if (number % 10 == 0)
        must(commit_pending_drop(store, (uint32_t)(number / 10 - 1), &err), &err);
    must(commit_dead_letter(store, &row, &err), &err);
    must(commit_offset(store, "t", 0, number == 1 ? -1 : number - 1, number, &counts, &err), &err);
    must(commit_end(store, &err), &err);
}

static void find_series(struct store *store, int64_t *series)
{
    for (int i = 0; i < N_SERIES; i++) {
        char version[8];
        snprintf(version, sizeof(version), "v%d", i);
        series[i] = temp_series(store, "credit", version, "");
    }
}

static void live(struct temp *temp, struct recording *recording, int64_t from, int64_t to)
{
    int64_t series[N_SERIES];
    struct store *store = temp_store(temp, STORE_WRITE);
    find_series(store, series);
    for (int64_t number = from; number <= to; number++) {
        commit_number(store, number, series);
        recording_acknowledge(recording, number);
        if (number % 4 == 0)
            sqlite3_wal_checkpoint_v2(
                store_db(store), NULL,
                number % 8 ? SQLITE_CHECKPOINT_PASSIVE : SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        if (number % 15 == 0) { /* an orderly stop, and a start */
            store_free(store);
            store = temp_store(temp, STORE_WRITE);
        }
    }
    store_free(store);
}

static int64_t integer(struct store *store, const char *sql)
{
    sqlite3_stmt *statement;
    int64_t value = -1;
    int rc = sqlite3_prepare_v2(store_db(store), sql, -1, &statement, NULL);
    if (rc == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
        value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

static bool sound(struct store *store)
{
    sqlite3_stmt *statement;
    bool ok = sqlite3_prepare_v2(store_db(store), "PRAGMA integrity_check(1)", -1, &statement,
                                 NULL) == SQLITE_OK &&
              sqlite3_step(statement) == SQLITE_ROW &&
              strcmp((const char *)sqlite3_column_text(statement, 0), "ok") == 0;
    sqlite3_finalize(statement);
    return ok;
}

/* All of commit `number` is there, and nothing else. */
static bool holds(struct store *store, int64_t number)
{
    sqlite3_stmt *statement;
    char expected[10000];
    int64_t seen = 0;
    bool same = true;
    sqlite3_prepare_v2(store_db(store), "SELECT series_id, level_ms, start_ms, state FROM panes",
                       -1, &statement, NULL);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        int64_t last = sqlite3_column_int64(statement, 2) / MINUTE * 10 + 9;
        if (sqlite3_column_int64(statement, 1) == HOUR || last > number)
            last = number;
        size_t n = pane_bytes(expected, last, sqlite3_column_int64(statement, 0));
        same &= (size_t)sqlite3_column_bytes(statement, 3) == n &&
                memcmp(sqlite3_column_blob(statement, 3), expected, n) == 0;
        seen++;
    }
    sqlite3_finalize(statement);
    int64_t panes = number ? N_SERIES * (1 + number / 10 + 1) : 0;
    int64_t pending = number < 10 ? number : number % 10 + 1;
    return same && seen == panes && integer(store, "SELECT count(*) FROM pending") == pending &&
           integer(store, "SELECT count(*) FROM dead_letter") == number &&
           (number == 0 || integer(store, "SELECT consumed FROM offsets") == number);
}

/* Opens an image as the restarted daemon would; gives the commit it holds. */
static int64_t check_image(const struct temp *image, int64_t acknowledged, uint64_t seed)
{
    struct err err = {0};
    AUTO(store) struct store *store = NULL;
    int rc = store_open(&store, image->path, STORE_WRITE, &err);
    if (rc)
        fail_msg("seed %" PRIu64 ": does not open: %s", seed, err.text);
    int64_t number = integer(store, "SELECT next FROM offsets");
    if (number < 0)
        number = 0;
    if (number < acknowledged)
        fail_msg("seed %" PRIu64 ": commit %" PRId64 " was promised, %" PRId64 " is there", seed,
                 acknowledged, number);
    if (!sound(store) || !holds(store, number))
        fail_msg("seed %" PRIu64 ": not the whole of commit %" PRId64, seed, number);
    return number;
}

/* The restarted daemon itself loses power while it recovers and goes on. */
static void crash_again(struct faulty *faulty, const struct temp *image, struct rng *rng,
                        int64_t acknowledged, uint64_t seed)
{
    struct recording recording = {0};
    struct disk disk;
    int64_t series[N_SERIES];
    disk_init(&disk, image->path);
    disk.acknowledged = acknowledged;
    faulty_record(faulty, image->path, &recording);
    struct store *store = temp_store(image, STORE_WRITE);
    int64_t number = integer(store, "SELECT next FROM offsets");
    find_series(store, series);
    commit_number(store, number < 0 ? 1 : number + 1, series);
    recording_acknowledge(&recording, number < 0 ? 1 : number + 1);
    store_free(store);
    faulty_record(faulty, NULL, NULL);

    size_t crash = rng_below(rng, recording.n + 1);
    for (size_t i = 0; i < crash; i++)
        disk_play(&disk, &recording.events[i]);
    disk_crash(&disk, rng, image->path);
    check_image(image, disk.acknowledged, seed);
    disk_finish(&disk);
    recording_finish(&recording);
}

static void F30_power_loss_at_any_instant_loses_no_acknowledged_commit(void **state)
{
    (void)state;
    AUTO(faulty) struct faulty *faulty = faulty_install();
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(temp) struct temp *image = temp_new();
    struct recording recording = {0};
    struct disk disk;
    int64_t wanted = from_environment("ASSAY_IMAGES", 2400);
    uint64_t seed = (uint64_t)from_environment("ASSAY_SEED", 1);
    int64_t images = 0;
    bool held[N_COMMITS + 1] = {false};

    disk_init(&disk, temp->path);
    faulty_record(faulty, temp->path, &recording);
    live(temp, &recording, 1, N_COMMITS);
    faulty_record(faulty, NULL, NULL);

    for (size_t i = 0; i <= recording.n; i++) {
        /* wanted images, spread evenly over the instants */
        int64_t up_to = wanted * (int64_t)(i + 1) / (int64_t)(recording.n + 1);
        for (; images < up_to; images++, seed++) {
            struct rng rng = rng_of(seed);
            disk_crash(&disk, &rng, image->path);
            if (images % 8 == 0)
                crash_again(faulty, image, &rng, disk.acknowledged, seed);
            else
                held[check_image(image, disk.acknowledged, seed)] = true;
        }
        if (i < recording.n)
            disk_play(&disk, &recording.events[i]);
    }

    int n_held = 0;
    for (int i = 0; i <= N_COMMITS; i++)
        n_held += held[i];
    print_message("%" PRId64 " images from %zu disk events, %d different commits held\n", images,
                  recording.n, n_held);
    assert_true(n_held > N_COMMITS * 3 / 4); /* the images do differ */
    disk_finish(&disk);
    recording_finish(&recording);
}

/* The proof that the images bite: with synchronous=OFF promises are broken, and it is seen. */
static void F30_without_syncs_the_images_show_lost_commits(void **state)
{
    (void)state;
    AUTO(faulty) struct faulty *faulty = faulty_install();
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(temp) struct temp *image = temp_new();
    struct recording recording = {0};
    struct disk disk;
    int64_t series[N_SERIES];
    int broken = 0;

    disk_init(&disk, temp->path);
    faulty_record(faulty, temp->path, &recording);
    struct store *store = temp_store(temp, STORE_WRITE);
    find_series(store, series);
    sqlite3_exec(store_db(store), "PRAGMA synchronous = OFF", NULL, NULL, NULL);
    for (int64_t number = 1; number <= 8; number++) {
        commit_number(store, number, series);
        recording_acknowledge(&recording, number);
    }
    faulty_record(faulty, NULL, NULL);
    for (size_t i = 0; i < recording.n; i++)
        disk_play(&disk, &recording.events[i]);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct rng rng = rng_of(seed);
        disk_crash(&disk, &rng, image->path);
        struct store *after = NULL;
        broken += store_open(&after, image->path, STORE_WRITE, NULL) != 0 ||
                  integer(after, "SELECT next FROM offsets") < 8;
        store_free(after);
    }
    store_free(store);

    assert_true(broken > 10);
    disk_finish(&disk);
    recording_finish(&recording);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(F30_power_loss_at_any_instant_loses_no_acknowledged_commit),
        cmocka_unit_test(F30_without_syncs_the_images_show_lost_commits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
