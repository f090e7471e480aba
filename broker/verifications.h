/*
 * Questions of a shard's partitions to transaction coordinators (KIP-890): may this producer write
 * here, in the transaction that it has open? Asked before the first batch of a transaction.
 *
 * Questions of one turn about the same transaction are one request. What asks about the same
 * partition and producer while a question is under way waits for its answer, in the order of
 * arrival, so pipelined batches do not overtake each other.
 *
 * Invariants:
 *  1. Every wait ends once, never inside verifications_ask.
 *  2. The waits of one partition, producer id and epoch end in the order in which they came, also
 *     where the first of them has to ask again.
 */
#ifndef KLAMM_BROKER_VERIFICATIONS_H
#define KLAMM_BROKER_VERIFICATIONS_H

#include "base/list.h"
#include "base/map.h"
#include "base/uuid.h"
#include "protocol/errors.h"
#include "runtime/loop.h"

struct shard;

/* What a request version understands: Produce up to 10, 11, since 12; TxnOffsetCommit up to 3, 4,
   since 5. */
enum verification_form {
    VERIFICATION_OLD,       /* TRANSACTION_ABORTABLE is not known yet: INVALID_TXN_STATE */
    VERIFICATION_ABORTABLE, /* the client has added the partition itself */
    VERIFICATION_ADDS       /* the partition is to be added (transaction version 2) */
};

struct verification_question {
    struct view transactional_id; /* copied */
    struct view topic;            /* copied */
    struct uuid topic_id;
    int32_t partition;
    int64_t producer_id;
    int16_t producer_epoch;
    enum verification_form form;
};

/* Who asks; embedded. */
struct verification_wait {
    struct list link;
    enum verification_form form;
    /* NONE, or the coordinator's error as producers know it. */
    void (*done)(struct verification_wait *wait, enum kafka_error error);
};

struct verifications {
    struct shard *shard;
    struct map by_key; /* key bytes to struct verification */
    struct list fresh; /* struct verification.link: of this turn, in no request yet */
    struct deferred send;
    uint64_t asked; /* counters: questions, requests */
    uint64_t requests;
};

void verifications_init(struct verifications *verifications, struct shard *shard);
void verifications_ask(struct verifications *verifications,
                       const struct verification_question *question,
                       struct verification_wait *wait);
/*
 * For who need not ask: when others do, it waits behind them for their answer, so as not to
 * overtake them. False: nobody asks.
 */
bool verifications_join(struct verifications *verifications,
                        const struct verification_question *question,
                        struct verification_wait *wait);
/* A mapped error as Produce answers it: old clients retry NOT_ENOUGH_REPLICAS everywhere. */
enum kafka_error verification_error_of_produce(enum kafka_error error);

#endif
