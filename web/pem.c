#include "web/pem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_PEM_BYTES = 1024 * 1024
};

int pem_read(char **out, const char *key, const char *path, struct err *err)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return err_set(err, ERR_USAGE, "%s: %s: %s", key, path, err_words(errno));
    char *text = calloc(1, MAX_PEM_BYTES + 1);
    size_t n = text ? fread(text, 1, MAX_PEM_BYTES, file) : 0;
    fclose(file);
    if (!text)
        return err_set(err, -ENOMEM, "%s: no memory to read %s", key, path);
    if (n == 0 || !strstr(text, "-----BEGIN")) {
        free(text);
        return err_set(err, ERR_USAGE, "%s: %s is not in PEM form", key, path);
    }
    *out = text; /* the caller owns it now */
    return 0;
}
