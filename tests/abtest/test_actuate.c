#include "abtest/actuate.h"

#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/temp_store.h"
#include "tests/test.h"

int __real_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now);

/* The wall clock stands an hour ahead, and is set right as soon as it was read. */
int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
    int rc = __real_clock_gettime(id, now);
    now->tv_sec += id == CLOCK_REALTIME ? 3600 : 0;
    return rc;
}

/* Reads lines until n of them came; how many came in a minute at the most. */
static int lines_of(int fd, int n)
{
    struct pollfd from = {fd, POLLIN, 0};
    int seen = 0;
    char c;
    while (seen < n && poll(&from, 1, 60000) > 0 && read(fd, &c, 1) == 1)
        seen += c == '\n';
    return seen;
}

/* A worker says at each round that it cannot read its row: so its rounds are seen. */
static void F29_a_wall_clock_set_back_leaves_no_worker_asleep(void **state)
{
    (void)state;
    static const char text[] =
        "storage: {path: a.db}\nmodels: [{name: m, task: binary, positive: 1}]\n"
        "actuators: [{name: a, experiment: e, type: file, path: /x, template: '{{weight}}'}]\n";
    AUTO(config) struct config *config = NULL;
    AUTO(actuator_set) struct actuator_set *set = NULL;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct actuate *actuate = NULL;
    struct err err = {0};
    int lines[2];
    assert_int_equal(pipe(lines), 0);
    must(config_parse(&config, "a.yaml", text, strlen(text), &err), &err);
    must(actuator_set_parse(&set, config, &err), &err);
    temp_run(store, "ALTER TABLE actuations RENAME TO elsewhere");
    const struct log log = {.fd = lines[1], .level = LEVEL_WARNING};
    const struct actuate_options options = {
        .set = set, .store_path = temp->path, .clock = clock_system(), .log = &log};

    must(actuate_start(&actuate, &options, &err), &err);

    assert_int_equal(lines_of(lines[0], 2), 2);
    actuate_stop(actuate);
    close(lines[0]);
    close(lines[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(F29_a_wall_clock_set_back_leaves_no_worker_asleep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
