/*
 * Descriptions of all messages: what tools, tests and fuzzers use to walk a message without knowing
 * its type.
 *
 * The descriptions are a library of their own (protocol_inspect_dep), so that a program that only
 * encodes and decodes does not carry them.
 *
 * Invariant: offsets and kinds are those of the generated structs; an array's pointer is at offset
 * and its count at count_offset; a struct that can be null is behind a pointer.
 */
#ifndef KLAMM_PROTOCOL_MESSAGE_INSPECT_H
#define KLAMM_PROTOCOL_MESSAGE_INSPECT_H

#include "protocol/message_codec.h"

enum message_field_kind {
    MESSAGE_FIELD_BOOL,
    MESSAGE_FIELD_INT8,
    MESSAGE_FIELD_INT16,
    MESSAGE_FIELD_UINT16,
    MESSAGE_FIELD_INT32,
    MESSAGE_FIELD_UINT32,
    MESSAGE_FIELD_INT64,
    MESSAGE_FIELD_FLOAT64,
    MESSAGE_FIELD_UUID,
    MESSAGE_FIELD_STRING,
    MESSAGE_FIELD_BYTES,
    MESSAGE_FIELD_RECORDS,
    MESSAGE_FIELD_STRUCT
};

enum message_kind {
    MESSAGE_REQUEST,
    MESSAGE_RESPONSE,
    MESSAGE_HEADER,
    MESSAGE_METADATA, /* record of __cluster_metadata */
    MESSAGE_KEY,      /* record key of an internal topic */
    MESSAGE_VALUE,    /* record value of an internal topic */
    MESSAGE_DATA
};

/* Both ends included; empty when low > high. */
struct message_versions {
    int16_t low;
    int16_t high;
};

struct message_struct;

struct message_field {
    const char *name; /* Kafka's, such as "ThrottleTimeMs" */
    enum message_field_kind kind;
    bool is_array;
    bool is_pointer; /* a struct that can be null */
    bool is_ignorable;
    bool is_null_by_default;
    int tag; /* -1: none */
    struct message_versions versions;
    struct message_versions nullable;
    struct message_versions tagged;
    int64_t default_value; /* of numbers and bool */
    size_t offset;
    size_t count_offset;                 /* arrays */
    const struct message_struct *fields; /* structs and arrays of structs */
};

struct message_struct {
    const char *name;
    size_t size; /* bytes in memory */
    size_t fields_count;
    const struct message_field *fields;
    void (*init)(void *message);
};

struct message_type {
    const char *name; /* Kafka's, such as "MetadataRequest" */
    enum message_kind kind;
    int16_t key; /* API key or record type, -1: none */
    int16_t version_min;
    int16_t version_max;
    int16_t flexible_since; /* INT16_MAX: never */
    const struct message_struct *body;
    bool (*decode)(void *out, struct reader *in, int16_t version, struct arena *arena);
    size_t (*size)(const void *message, int16_t version);
    void (*encode)(const void *message, struct message_writer *out, int16_t version);
};

static inline bool message_versions_contain(struct message_versions versions, int16_t version)
{
    return version >= versions.low && version <= versions.high;
}

/* Bytes in memory of one value of the field: of one element, where it is an array. */
size_t message_field_item_size(const struct message_field *field);

size_t message_type_count(void);
const struct message_type *message_type_at(size_t index);
/* By Kafka's name; NULL when there is none. */
const struct message_type *message_type_find(const char *name);

/*
 * Whether two messages say the same in a version: every field that the version carries is equal.
 * Null and empty differ where the version can express null.
 */
bool message_equal(const struct message_type *type, const void *a, const void *b, int16_t version);

#endif
