/* `assay check FILE`: everything that can be wrong with a configuration, without starting it. */
#include <stdio.h>

#include "abtest/run.h"
#include "alerts/run.h"
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/options.h"
#include "cli/reference.h"
#include "collector/kafka_settings.h"
#include "collector/scrape.h"
#include "common/config.h"
#include "web/gateway/gateway.h"
#include "web/sink.h"
#include "web/web.h"

int command_check(int argc, char **argv)
{
    struct err err = {0};
    struct arguments words;
    if (options_parse(NULL, 0, argc, argv, &words, &err))
        return fail(&err);
    if (words.n != 1) {
        err_set(&err, ERR_USAGE, "usage: assay check FILE");
        return fail(&err);
    }
    AUTO(config) struct config *config = NULL;
    if (config_read(&config, words.words[0], &err) || references_check(config, &err) ||
        kafka_properties_check(config, &err) || scrape_check(config, &err) ||
        alerts_check(config, &err) || sinks_check(config, &err) || run_check(config, &err) ||
        actuators_check(config, &err) || gateways_check(NULL, config, &err) ||
        web_check(config, &err))
        return fail(&err);
    if (!config->n_models && !config->auto_models.task) {
        printf(
            "%s: fine, but it has no model, so every event would be refused: write "
            "`models: [{name: credit, task: binary}]` with yours, or `auto_models: {task: binary}` "
            "to take them as they come\n",
            words.words[0]);
        return 0;
    }
    printf("%s: fine, %zu model%s%s, %s\n", words.words[0], config->n_models,
           config->n_models == 1 ? "" : "s",
           config->auto_models.task ? " and others as they come" : "",
           config->kafka.brokers ? config->kafka.brokers : "no Kafka");
    return 0;
}
