#include "cli/supported.h"

#include <string.h>

int config_supported(const struct config *config, struct err *err)
{
    const struct {
        const char *key;
        const struct config_part *part;
    } parts[] = {
        {"actuators", &config->actuators},
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        const char *json = parts[i].part->json;
        if (strcmp(json, "[]") != 0 && strcmp(json, "{}") != 0)
            return err_set(err, ERR_USAGE, "%s:%d: %s: not in this version; take the key out",
                           config->path, parts[i].part->line, parts[i].key);
    }
    return 0;
}
