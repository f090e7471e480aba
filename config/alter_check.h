/*
 * The rules of each scope for changed settings; for the sources of this folder.
 */
#ifndef KLAMM_CONFIG_ALTER_CHECK_H
#define KLAMM_CONFIG_ALTER_CHECK_H

#include "config/alter.h"

/*
 * Checks `changed` key by key (null values are removals) and `result`, the set after the change, as
 * a whole. Sets refusal and message of *altered; nothing else.
 */
void config_check_changes(const struct config_alter_request *request,
                          const struct config_set *changed, const struct config_set *result,
                          struct config_altered *altered, struct arena *arena);

#endif
