/*
 * The smallest kind of coordinator: notes by number, kept in records of the offset commit type. A
 * note that is written in a transaction shows when its marker comes.
 */
#ifndef KLAMM_TESTS_UNIT_COORDINATOR_NOTE_KIND_H
#define KLAMM_TESTS_UNIT_COORDINATOR_NOTE_KIND_H

#include "coordinator/coordinator.h"

enum { NOTES_MAX = 2000, NOTE_PENDING_MAX = 16 };

struct note_pending {
    int64_t producer_id;
    int32_t number;
    int64_t text;
};

struct notes {
    struct coordinator *coordinator;
    int64_t texts[NOTES_MAX]; /* -1: no note */
    struct note_pending pending[NOTE_PENDING_MAX];
    uint32_t pending_count;
    uint64_t replayed;
    uint64_t markers;
    int64_t last_offset;
    int64_t last_timestamp_ms;
    int32_t last_marker_epoch;
    uint32_t images;    /* deltas seen */
    struct list parked; /* struct coordinator_call.link */
};

/* What the kind's functions did, over all states of a test. */
struct note_kind_counts {
    unsigned created;
    unsigned destroyed;
    unsigned loaded;
    unsigned unloaded;
    enum kafka_error unload_error;
    int64_t write_when_loaded; /* a text that `loaded` writes as note 0; 0: nothing */
};

extern const struct coordinator_kind note_kind;
/* Of the running test; the test clears it. */
struct note_kind_counts *note_counts(void);

/* Writes notes first to first + count - 1 in one batch; `text` -1 removes them. */
enum kafka_error note_write(struct notes *notes, int32_t first, int32_t count, int64_t text);
enum kafka_error note_write_pending(struct notes *notes, int32_t number, int64_t text,
                                    int64_t producer_id, int16_t producer_epoch);
/* A handler: writes one note (text -1: reads only) and answers what it is into int64_t *response.
 */
struct note_request {
    int32_t number;
    int64_t text;
};
void note_handle(struct notes *notes, struct coordinator_call *call);
/* A handler that keeps the call. */
void note_park(struct notes *notes, struct coordinator_call *call);

/* The key and value of a note as bytes in `arena`. */
struct view note_key(struct arena *arena, int32_t number);
struct view note_value(struct arena *arena, int64_t text);

#endif
