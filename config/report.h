/*
 * Adding lines to a config_report; for the sources of this folder.
 */
#ifndef KLAMM_CONFIG_REPORT_H
#define KLAMM_CONFIG_REPORT_H

#include "config/server_config.h"

/* Adds a formatted line. When the arena refuses, the error still counts. */
void report_add(struct config_report *report, struct arena *arena, enum config_severity severity,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

/* For "%.*s" of a view. */
#define SHOW(view) (int)(view).size, (const char *)(view).data

#endif
