#include "web/gateway/place.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"

enum {
    STEP_MAX_BYTES = 256
};

bool pointer_is_valid(const char *pointer)
{
    if (*pointer && *pointer != '/')
        return false;
    for (const char *c = pointer; *c; c++)
        if (*c == '~' && c[1] != '0' && c[1] != '1')
            return false;
    return true;
}

static bool step_unescape(char out[STEP_MAX_BYTES], const char *from, size_t n)
{
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        char c = from[i];
        if (c == '~' && i + 1 < n)
            c = from[++i] == '0' ? '~' : '/';
        if (size + 1 >= STEP_MAX_BYTES)
            return false;
        out[size++] = c;
    }
    out[size] = '\0';
    return true;
}

static json_t *array_item(json_t *array, const char *step)
{
    int64_t index;
    bool canonical = step[0] != '0' || step[1] == '\0';
    if (!canonical || step[0] == '-' || int_parse(&index, step, strlen(step)))
        return NULL;
    return json_array_get(array, (size_t)index);
}

json_t *pointer_get(json_t *value, const char *pointer)
{
    while (value && *pointer == '/') {
        char step[STEP_MAX_BYTES];
        size_t n = strcspn(pointer + 1, "/");
        if (!step_unescape(step, pointer + 1, n))
            return NULL;
        value = json_is_array(value) ? array_item(value, step) : json_object_get(value, step);
        pointer += 1 + n;
    }
    return value;
}

int cookie_get(const char *header, const char *name, char *out, size_t room)
{
    size_t wanted = strlen(name);
    for (const char *c = header; *c;) {
        c += strspn(c, "; \t");
        size_t n = strcspn(c, ";");
        if (n > wanted && strncmp(c, name, wanted) == 0 && c[wanted] == '=') {
            const char *value = c + wanted + 1;
            size_t size = n - wanted - 1;
            while (size && (value[size - 1] == ' ' || value[size - 1] == '\t'))
                size--;
            if (size >= 2 && value[0] == '"' && value[size - 1] == '"') {
                value++;
                size -= 2;
            }
            if (size >= room)
                return -1;
            memcpy(out, value, size);
            out[size] = '\0';
            return (int)size;
        }
        c += n;
    }
    return -1;
}

int scalar_text(json_t *value, char *out, size_t room)
{
    char number[TEXT_NUMBER_BYTES];
    const char *text = NULL;
    if (json_is_string(value)) {
        text = json_string_value(value);
        if (strlen(text) != json_string_length(value))
            return -1;
    } else if (json_is_integer(value)) {
        snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        text = number;
    } else if (json_is_real(value)) {
        text = number_print(number, json_real_value(value));
    } else if (json_is_boolean(value)) {
        text = json_is_true(value) ? "true" : "false";
    }
    if (!text || strlen(text) >= room)
        return -1;
    memcpy(out, text, strlen(text) + 1);
    return (int)strlen(text);
}
