/*
 * The yardstick of replay: jansson alone parses each line of a file of events.
 *
 *     jansson_parse FILE      prints "lines seconds"
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
    FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (!file) {
        fprintf(stderr, "usage: jansson_parse FILE\n");
        return 64;
    }
    char *line = NULL;
    size_t capacity = 0;
    int64_t n = 0;
    double began = now_s();
    for (ssize_t size; (size = getline(&line, &capacity, file)) > 0; n++) {
        json_t *json = json_loadb(line, (size_t)size, 0, NULL);
        if (!json) {
            fprintf(stderr, "jansson_parse: line %" PRId64 " is no JSON\n", n + 1);
            return 65;
        }
        json_decref(json);
    }
    printf("%" PRId64 " %.6f\n", n, now_s() - began);
    free(line);
    fclose(file);
    return 0;
}
