/* ControllerRegistration (70): a controller says where it listens and which features it serves. */
#ifndef KLAMM_CLUSTER_CONTROLLER_CONTROLLER_REGISTRATION_H
#define KLAMM_CLUSTER_CONTROLLER_CONTROLLER_REGISTRATION_H

#include "cluster/controller/decision.h"
#include "protocol/messages/controller_registration.h"

/*
 * Error: UNSUPPORTED_VERSION while metadata.version is below 15, or when a finalized feature level
 * is outside the controller's ranges. The same registration again writes nothing.
 */
void decide_controller_registration(struct decision *decision,
                                    const struct controller_registration_request *request,
                                    struct controller_registration_response *response);

#endif
