/*
 * What config/generate.py emits: the rows of every scope and where broker keys are stored.
 *
 * For the sources of this folder only; everybody else uses config/definition.h.
 */
#ifndef KLAMM_CONFIG_DEFINITION_TABLES_H
#define KLAMM_CONFIG_DEFINITION_TABLES_H

#include "config/broker_settings.h"

/* A key and the place of its typed value in a struct; the member's C type follows the row's type.
 */
struct config_binding {
    const struct config_definition *row;
    size_t offset;
};

extern const struct config_definitions config_tables[CONFIG_SCOPES];
extern const struct config_binding broker_bindings[];
extern const size_t broker_binding_count;

#endif
