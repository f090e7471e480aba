/* From the settings of a node to those of its cleaners. */
#ifndef KLAMM_BROKER_CLEANING_H
#define KLAMM_BROKER_CLEANING_H

#include "config/broker_settings.h"
#include "log/cleaner.h"

/* Compactions that the node runs at the same time: log.cleaner.threads. */
unsigned cleaning_permit_count(const struct broker_settings *settings);
/*
 * What one compaction gets. Buffer and bytes a second are those of the node, so each of as many
 * compactions as there are permits gets its share.
 */
struct cleaner_options cleaning_options(const struct broker_settings *settings);

#endif
