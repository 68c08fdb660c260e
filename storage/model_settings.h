/*
 * What the configuration says of models, kept in the database for those who read it without one:
 * `assay query --db`, a backup elsewhere, the views in SQL.
 *
 * Shape    of each configured model what readers need: task, positive, threshold, label_horizon,
 *          timezone, metrics, drift, and a reference made of panes (one from a file is stored
 *          itself). A model keeps its last settings when the configuration drops it
 * Owner    model_settings_read gives, config_free takes
 * Errors   as in storage/store.h
 * Threads  commit_model_settings: the writer's, in a commit · the other: that of the store
 */
#pragma once

#include "common/config.h"
#include "storage/store.h"

int commit_model_settings(struct store *store, const struct config_model *model, struct err *err);
/* A configuration of these models alone; model NULL: of all. *out NULL: nothing is stored. */
int model_settings_read(struct store *store, const char *model, struct config **out,
                        struct err *err);
