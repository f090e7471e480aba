/* The table of APIs that this broker serves: one row per API, found by key. */
#ifndef KLAMM_BROKER_API_TABLE_H
#define KLAMM_BROKER_API_TABLE_H

#include "broker/api_row.h"

/* The row of an API, or NULL when it is not served. */
const struct api_row *api_row_find(int16_t key);

#endif
