/* Why one item of a request is refused. */
#ifndef KLAMM_CLUSTER_CONTROLLER_REFUSAL_H
#define KLAMM_CLUSTER_CONTROLLER_REFUSAL_H

#include "base/bytes.h"
#include "protocol/errors.h"

struct refusal {
    enum kafka_error error;
    struct view message; /* null when there is no error */
};

#endif
