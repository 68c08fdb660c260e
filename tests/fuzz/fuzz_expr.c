/* Any text as a formula: refused with its column, or it gives a number and a bound that is not
   negative, whatever the names in it stand for. */
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "stats/expr.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* Names are numbered by their first byte; those with an x are not known. */
static int resolve(void *context, const char *name, struct err *err)
{
    (void)context;
    if (strchr(name, 'x'))
        return err_set(err, ERR_USAGE, "no metric of that name");
    return (unsigned char)name[0];
}

static struct expr_number look_up(void *context, int name)
{
    const uint8_t *bytes = context;
    if (name % 3 == 0)
        return (struct expr_number){NAN, NAN};
    return (struct expr_number){(double)bytes[0] - 100.0 * name, (double)(name % 2)};
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    AUTO_FREE char *text = malloc(n + 1);
    AUTO(expr) struct expr *expr = NULL;
    const struct expr_names names = {NULL, resolve};
    struct err err = {0};
    if (!text)
        return 0;
    memcpy(text, bytes, n);
    text[n] = '\0';

    if (expr_parse(&expr, text, &names, &err)) {
        assert(err.text[0] != '\0');
        return 0;
    }
    struct expr_number number = expr_value(expr, look_up, text);
    assert(isnan(number.bound) || number.bound >= 0);
    return 0;
}
