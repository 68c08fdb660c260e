/* Any text as a configuration: taken, or refused by a message that names the file. */
#include <assert.h>
#include <string.h>

#include "common/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    AUTO(config) struct config *config = NULL;
    struct err err = {0};

    if (config_parse(&config, "fuzz.yaml", (const char *)bytes, n, &err) == 0) {
        assert(config && config->storage_path);
        for (size_t i = 0; i < config->n_models; i++)
            assert(config_model_find(config, config->models[i].name) == &config->models[i]);
    } else {
        assert(!config);
        assert(strncmp(err.text, "fuzz.yaml", strlen("fuzz.yaml")) == 0);
    }
    return 0;
}
