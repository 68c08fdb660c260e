#include "collector/reference_names.h"

#include <string.h>

int reference_names_add(struct reference_names *names, struct view text, uint64_t id,
                        struct err *err)
{
    if (names->n == REFERENCE_NAMES || id_set_find(&names->known, id) != ID_NONE)
        return 0;
    if (!names->names)
        names->names = calloc(REFERENCE_NAMES, sizeof(*names->names));
    char *copy = names->names ? strndup(text.data, text.size) : NULL;
    if (!copy)
        return err_set(err, -ENOMEM, "reference: no memory");
    names->names[names->n++] = (struct category_name){id, copy};
    return id_set_put(&names->known, id, 0, err);
}

void reference_names_give(struct reference_names *names, struct category_name **out, uint32_t *n)
{
    *out = names->names;
    *n = names->n;
    names->names = NULL;
    names->n = 0;
}

void reference_names_finish(struct reference_names *names)
{
    for (uint32_t i = 0; i < names->n; i++)
        free(names->names[i].text);
    free(names->names);
    id_set_finish(&names->known);
}
