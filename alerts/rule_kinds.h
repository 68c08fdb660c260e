/*
 * The keys of a rule that say what it is about; alerts/rule.c reads the others. No other file
 * includes it.
 */
#pragma once

#include "alerts/rule.h"

int rule_check_segment(struct part *part, const struct config *config,
                       const struct alert_rule *rule);

int rule_read_kind(struct part *part, const struct config *config, const json_t *object,
                   struct alert_rule *rule);
