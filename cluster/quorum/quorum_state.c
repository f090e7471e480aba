/*
 * Writing is formatting. Reading walks the one JSON object: names and values in any order, unknown
 * names skipped (numbers, texts, flat arrays), anything else refused.
 */
#include "cluster/quorum/quorum_state.h"

#include "base/assert.h"
#include "base/text.h"

void quorum_state_init(struct quorum_state *state, int16_t version)
{
    *state = (struct quorum_state){
        .version = version, .leader_id = QUORUM_NODE_NONE, .voted_id = QUORUM_NODE_NONE};
}

size_t quorum_state_encode(const struct quorum_state *state, char *text, size_t capacity)
{
    struct text_builder out;
    text_builder_init(&out, text, capacity);
    text_append_string(&out, "{");
    if (state->version == 0)
        text_append_string(&out, "\"clusterId\":\"\",");
    text_append_format(&out, "\"leaderId\":%d,\"leaderEpoch\":%d,\"votedId\":%d,", state->leader_id,
                       state->leader_epoch, state->voted_id);
    if (state->version == 0) {
        text_append_string(&out, "\"appliedOffset\":0,\"currentVoters\":[");
        for (uint32_t i = 0; i < state->voter_count; i++)
            text_append_format(&out, "%s{\"voterId\":%d}", i ? "," : "", state->voters[i]);
        text_append_string(&out, "],");
    } else {
        char directory[UUID_TEXT_SIZE + 1];
        uuid_format(state->voted_directory_id, directory);
        text_append_format(&out, "\"votedDirectoryId\":\"%s\",", directory);
    }
    text_append_format(&out, "\"data_version\":%d}", state->version);
    klamm_assert(!out.truncated);
    return out.size;
}

/* A cursor over JSON text. */
struct json {
    struct view rest;
    bool failed;
};

static void skip_blanks(struct json *json)
{
    while (json->rest.size > 0 && (json->rest.data[0] == ' ' || json->rest.data[0] == '\t' ||
                                   json->rest.data[0] == '\n' || json->rest.data[0] == '\r')) {
        json->rest.data++;
        json->rest.size--;
    }
}

static bool take(struct json *json, char wanted)
{
    skip_blanks(json);
    if (json->failed || json->rest.size == 0 || json->rest.data[0] != (uint8_t)wanted)
        return false;
    json->rest.data++;
    json->rest.size--;
    return true;
}

static void need(struct json *json, char wanted)
{
    if (!take(json, wanted))
        json->failed = true;
}

/* A text without escapes: none of the fields needs them. */
static struct view read_text(struct json *json)
{
    need(json, '"');
    size_t end = text_find(json->rest, '"');
    struct view text = view_of(json->rest.data, end);
    if (json->failed || end == json->rest.size || text_find(text, '\\') != end) {
        json->failed = true;
        return VIEW_NULL;
    }
    json->rest.data += end + 1;
    json->rest.size -= end + 1;
    return text;
}

static int32_t read_number(struct json *json)
{
    skip_blanks(json);
    size_t size = 0;
    while (size < json->rest.size &&
           (json->rest.data[size] == '-' ||
            (json->rest.data[size] >= '0' && json->rest.data[size] <= '9')))
        size++;
    int64_t value = 0;
    if (!text_parse_i64(view_of(json->rest.data, size), INT32_MIN, INT32_MAX, &value))
        json->failed = true;
    json->rest.data += size;
    json->rest.size -= size;
    return (int32_t)value;
}

/* The applied offset is written as 0 and read without being used; it may be a large number. */
static void skip_value(struct json *json)
{
    skip_blanks(json);
    if (json->rest.size > 0 && json->rest.data[0] == '"') {
        read_text(json);
        return;
    }
    size_t size = 0;
    while (size < json->rest.size && json->rest.data[size] != ',' && json->rest.data[size] != '}')
        size++;
    if (size == 0)
        json->failed = true;
    json->rest.data += size;
    json->rest.size -= size;
}

static void read_voters(struct json *json, struct quorum_state *state)
{
    need(json, '[');
    if (json->failed || take(json, ']'))
        return;
    do {
        need(json, '{');
        if (!view_equal(read_text(json), VIEW_LITERAL("voterId")))
            json->failed = true;
        need(json, ':');
        int32_t id = read_number(json);
        need(json, '}');
        if (json->failed || state->voter_count == QUORUM_STATE_VOTERS_MAX) {
            json->failed = true;
            return;
        }
        state->voters[state->voter_count++] = id;
    } while (take(json, ','));
    need(json, ']');
}

static void read_field(struct json *json, struct quorum_state *state)
{
    struct view name = read_text(json);
    need(json, ':');
    if (json->failed)
        return;
    if (view_equal(name, VIEW_LITERAL("leaderId")))
        state->leader_id = read_number(json);
    else if (view_equal(name, VIEW_LITERAL("leaderEpoch")))
        state->leader_epoch = read_number(json);
    else if (view_equal(name, VIEW_LITERAL("votedId")))
        state->voted_id = read_number(json);
    else if (view_equal(name, VIEW_LITERAL("data_version")))
        state->version = (int16_t)read_number(json);
    else if (view_equal(name, VIEW_LITERAL("votedDirectoryId")))
        json->failed |= !uuid_parse(read_text(json), &state->voted_directory_id);
    else if (view_equal(name, VIEW_LITERAL("currentVoters")))
        read_voters(json, state);
    else
        skip_value(json);
}

bool quorum_state_decode(struct view text, struct quorum_state *state)
{
    quorum_state_init(state, -1);
    struct json json = {.rest = text};
    need(&json, '{');
    do {
        read_field(&json, state);
    } while (!json.failed && take(&json, ','));
    need(&json, '}');
    skip_blanks(&json);
    /* Each version has a field that the other does not know, and ignores. */
    if (state->version == 0)
        state->voted_directory_id = UUID_ZERO;
    else
        state->voter_count = 0;
    return !json.failed && json.rest.size == 0 && state->leader_epoch >= 0 &&
           (state->version == 0 || state->version == 1);
}
