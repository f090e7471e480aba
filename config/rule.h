/*
 * What a row allows beyond its type: checking a typed value, and saying the rule to people.
 *
 * For the sources of this folder; config_value_parse checks rules for everybody else.
 */
#ifndef KLAMM_CONFIG_RULE_H
#define KLAMM_CONFIG_RULE_H

#include "config/value.h"

/*
 * Whether a value of the row's type keeps its rule. When not, *reason ("must be at least 1") is
 * constant or held by the arena.
 */
bool config_rule_check(const struct config_definition *row, const struct config_value *value,
                       struct view *reason, struct arena *arena);

#endif
