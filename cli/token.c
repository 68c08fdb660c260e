/* `assay token new NAME SCOPES`: a token for a person or a pipeline, and its line for http.tokens.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "common/clock.h"
#include "common/text.h"
#include "web/token_new.h"

static const char usage[] =
    "usage: assay token new NAME read|ingest|operate|admin[,…] [--expires 90d] [--file tokens.txt]";

/* One write of the whole line at the end of the file, so that no other line is ever cut. */
static int append(const char *path, const char *line, size_t n, struct err *err)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(err, -errno, "%s: %s", path, err_words(errno));
    ssize_t written = write(fd, line, n);
    int rc = written == (ssize_t)n && fsync(fd) == 0 ? 0 : -(errno ? errno : EIO);
    close(fd);
    return rc ? err_set(err, rc, "%s: the token was not written: %s", path, err_words(-rc)) : 0;
}

static int expiry_of(const char *expires, int64_t *out, struct err *err)
{
    int64_t lasts_ms;
    *out = INT64_MAX;
    if (!expires)
        return 0;
    if (duration_parse(&lasts_ms, expires, strlen(expires)) || lasts_ms <= 0)
        return err_set(err, ERR_USAGE, "--expires: \"%s\" is no duration, such as 90d", expires);
    *out = clock_wall_ms(clock_system()) + lasts_ms;
    return 0;
}

static int token_new(const char *name, const char *scopes, const char *expires, const char *file,
                     struct err *err)
{
    int64_t expires_ms;
    char text[TOKEN_TEXT_BYTES], line[TOKEN_LINE_BYTES];
    int rc = expiry_of(expires, &expires_ms, err);
    if (!rc)
        rc = token_new_line(text, line, name, scopes, expires_ms, err);
    if (!rc && file)
        rc = append(file, line, strlen(line), err);
    if (rc)
        return rc;
    printf("%s\n", text);
    fprintf(stderr, "assay: this is the token; it is shown once and stored nowhere\n");
    if (file)
        fprintf(stderr, "assay: its line is in %s; a running daemon reads it at SIGHUP\n", file);
    else
        fprintf(stderr, "assay: the line for the file of http.tokens:\n%s", line);
    OPENSSL_cleanse(text, sizeof(text));
    return 0;
}

int command_token(int argc, char **argv)
{
    const char *expires = NULL, *file = NULL;
    const struct option_row rows[] = {
        {.name = "expires", .value = &expires},
        {.name = "file", .value = &file},
    };
    struct err err = {0};
    struct arguments given;
    if (options_parse(rows, 2, argc, argv, &given, &err))
        return fail(&err);
    if (given.n != 3 || strcmp(given.words[0], "new") != 0) {
        err_set(&err, ERR_USAGE, "%s", usage);
        return fail(&err);
    }
    return token_new(given.words[1], given.words[2], expires, file, &err) ? fail(&err) : 0;
}
