/*
 * What the code says, for the tests of schemas/ and docs/ to compare with.
 *
 *     verdict event           reads JSON lines, prints the reason of each: "none" when it is taken
 *     verdict config FILE     prints "none", or the first complaint
 *     verdict schema          prints schemas/config.schema.json
 *     verdict markdown        prints the table of docs/configuration.md
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/event.h"
#include "common/config.h"
#include "common/config_keys.h"

static int print_events(void)
{
    AUTO(decoder) struct decoder *decoder = NULL;
    AUTO_FREE char *line = NULL;
    size_t capacity = 0;
    ssize_t n;
    if (decoder_new(&decoder, NULL))
        return 70;
    while ((n = getline(&line, &capacity, stdin)) > 0) {
        struct event event;
        if (line[n - 1] == '\n')
            n--;
        puts(reject_name(event_decode(decoder, line, (size_t)n, &event, NULL)));
    }
    return 0;
}

static int print_config(const char *path)
{
    AUTO(config) struct config *config = NULL;
    struct err err;
    puts(config_read(&config, path, &err) ? err.text : "none");
    return 0;
}

static int print_keys(void (*print)(struct buf *out))
{
    struct buf out;
    buf_init(&out, 1 << 20);
    print(&out);
    fwrite(out.data, 1, out.size, stdout);
    int rc = buf_failed(&out) ? 70 : 0;
    buf_finish(&out);
    return rc;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "event") == 0)
        return print_events();
    if (strcmp(what, "config") == 0 && argc == 3)
        return print_config(argv[2]);
    if (strcmp(what, "schema") == 0)
        return print_keys(config_keys_schema);
    if (strcmp(what, "markdown") == 0)
        return print_keys(config_keys_markdown);
    fprintf(stderr, "usage: verdict event | config FILE | schema | markdown\n");
    return 64;
}
