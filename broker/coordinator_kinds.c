/* One line per kind; the codec is that of the topic's records (offsets.topic.compression.codec). */
#include "broker/coordinator_kinds.h"

#include "broker/broker.h"
#include "broker/transaction_coordinator.h"
#include "consumer/groups.h"

static const struct coordinator_kind *const served[COORDINATOR_SLOTS] = {
    [COORDINATOR_GROUPS] = &groups_kind,
    [COORDINATOR_TRANSACTIONS] = &transactions_kind,
    [COORDINATOR_SHARES] = NULL,
};

static enum compression_codec codec_of(const struct broker *broker, enum coordinator_slot slot)
{
    int32_t codec = COMPRESSION_NONE;
    if (slot == COORDINATOR_GROUPS)
        codec = broker->config->settings.offsets_topic_compression_codec;
    return codec > COMPRESSION_NONE && codec < COMPRESSION_CODECS ? (enum compression_codec)codec
                                                                  : COMPRESSION_NONE;
}

const struct coordinator_kind *coordinator_kind_of(const struct broker *broker,
                                                   enum coordinator_slot slot)
{
    return broker->coordinator_kinds ? broker->coordinator_kinds[slot] : served[slot];
}

void coordinator_kinds_serve(const struct broker *broker, struct coordinators *coordinators)
{
    for (unsigned slot = 0; slot < COORDINATOR_SLOTS; slot++)
        coordinators_serve(coordinators, (enum coordinator_slot)slot,
                           coordinator_kind_of(broker, (enum coordinator_slot)slot),
                           codec_of(broker, (enum coordinator_slot)slot));
}
