/*
 * Encoding a generated message as a template, and reading the body of an answer, in any version.
 *
 * A template is what follows the correlation id: the client id, the header's tags where the version
 * is flexible, the body.
 */
#ifndef KLAMM_BENCH_TEMPLATE_H
#define KLAMM_BENCH_TEMPLATE_H

#include <string.h>

#include "base/arena.h"
#include "bench/client.h"
#include "protocol/api_info.h"
#include "protocol/message_codec.h"

/* Memory for a template with `body_size` bytes of body; returns where the body goes. */
static inline uint8_t *bench_template_begin(struct request_template *template, struct arena *arena,
                                            int16_t api_key, int16_t version, size_t body_size)
{
    static const char client_id[] = "klamm-bench";
    enum { CLIENT_ID_SIZE = sizeof(client_id) - 1, FLEXIBLE_HEADER = 2 };
    const struct api_info *info = api_info_find(api_key);
    size_t tags = api_info_request_header_version(info, version) >= FLEXIBLE_HEADER ? 1 : 0;
    *template = (struct request_template){.api_key = api_key, .version = version};
    template->size = 2 + CLIENT_ID_SIZE + tags + body_size;
    template->bytes = arena_get(arena, template->size);
    store_u16(template->bytes, CLIENT_ID_SIZE);
    memcpy(template->bytes + 2, client_id, CLIENT_ID_SIZE);
    if (tags)
        template->bytes[2 + CLIENT_ID_SIZE] = 0;
    return template->bytes + template->size - body_size;
}

/* Encodes `message` (struct <name>) into a template that lives in the arena. */
#define BENCH_TEMPLATE(name, number, message, api_version, arena, template)                        \
    do {                                                                                           \
        size_t size_ = name##_size((message), (api_version));                                      \
        uint8_t *body_ =                                                                           \
            bench_template_begin((template), (arena), (number), (api_version), size_);             \
        struct message_writer out_ = message_writer_of(body_, size_);                              \
        name##_encode((message), &out_, (api_version));                                            \
        if (message_writer_failed(&out_))                                                          \
            bench_fail("cannot encode " #name);                                                    \
    } while (0)

/* The body of an answer, behind the header's tags. */
static inline struct reader bench_body(int16_t api_key, int16_t version, const uint8_t *answer,
                                       size_t size)
{
    size_t tags = api_info_response_header_version(api_info_find(api_key), version) >= 1 ? 1 : 0;
    if (size < tags)
        bench_fail("an answer without a body");
    return reader_of(view_of(answer + tags, size - tags));
}

/* Decodes an answer (struct <name>) or ends the program. */
#define BENCH_DECODE(name, number, api_version, answer, answer_size, out, arena)                   \
    do {                                                                                           \
        struct reader in_ = bench_body((number), (api_version), (answer), (answer_size));          \
        if (!name##_decode((out), &in_, (api_version), (arena)))                                   \
            bench_fail("a " #name " that cannot be read");                                         \
    } while (0)

#endif
