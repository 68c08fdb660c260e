#include "common/err.h"

#include <stdio.h>
#include <string.h>

const char *err_words(int code)
{
    const char *words = strerrordesc_np(code);
    return words ? words : "unknown error";
}

int err_set(struct err *err, int code, const char *format, ...)
{
    if (!err)
        return code;

    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    err->code = code;
    return code;
}

int err_prefix(struct err *err, int code, const char *format, ...)
{
    if (!err)
        return code;

    char old[ERR_TEXT_BYTES];
    memcpy(old, err->text, sizeof(old));
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof(err->text))
        snprintf(err->text + n, sizeof(err->text) - (size_t)n, ": %s", old);
    err->code = code;
    return code;
}
