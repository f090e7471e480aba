/*
 * The steps of server_config_build that have files of their own; for the sources of this folder.
 */
#ifndef KLAMM_CONFIG_SERVER_INTERNAL_H
#define KLAMM_CONFIG_SERVER_INTERNAL_H

#include "config/report.h"

/*
 * The value of a broker key under file and default alone. Keys that do not parse have been reported
 * before; their default is given.
 */
struct config_value server_value(const struct server_config *config, const char *name,
                                 struct arena *arena);
/* Listeners, their protocols, what is advertised and used between nodes; adds errors. */
void server_listeners_build(struct server_config *config, struct config_report *report,
                            struct arena *arena);
/* Voters and bootstrap servers, against roles and node id; adds errors. */
void server_quorum_build(struct server_config *config, struct config_report *report,
                         struct arena *arena);

#endif
