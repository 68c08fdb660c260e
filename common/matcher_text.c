#include "common/matcher_text.h"

enum {
    MAX_MATCHER_BYTES = 1024
};

int matcher_text_parse(struct matcher_text *out, const char *text, struct err *err)
{
    size_t n = strcspn(text, "=!");
    const char *op = text + n;
    size_t n_op = op[0] && (op[1] == '=' || op[1] == '~') ? 2 : 1;
    bool known = (op[0] == '=' && (n_op == 1 || op[1] == '~')) || (op[0] == '!' && n_op == 2);
    while (n && text[n - 1] == ' ')
        n--;
    if (!known || n == 0 || strlen(text) > MAX_MATCHER_BYTES)
        return err_set(err, ERR_USAGE, "matcher \"%.100s\" is not like severity=\"critical\"",
                       text);

    const char *value = op + n_op;
    value += strspn(value, " ");
    size_t n_value = strlen(value);
    if (n_value >= 2 && value[0] == '"' && value[n_value - 1] == '"') {
        value++;
        n_value -= 2;
    }
    *out = (struct matcher_text){
        .label = {text, (uint32_t)n},
        .value = {value, (uint32_t)n_value},
        .negative = op[0] == '!',
        .is_regex = n_op == 2 && op[1] == '~',
    };
    return 0;
}
