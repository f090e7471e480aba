/*
 * The order in which places are asked for a value.
 *
 * A chain lists every place that has a text for a key, most specific first: the resource's own
 * override, then dynamic broker entry, dynamic cluster default, file and default, each asked for
 * the key's broker synonyms in order. The first step that parses is the value; DescribeConfigs
 * shows the whole chain.
 *
 * For the sources of this folder.
 */
#ifndef KLAMM_CONFIG_LAYERS_H
#define KLAMM_CONFIG_LAYERS_H

#include "config/describe.h"

/* Four layers, in each a prefixed name and up to three names without; and an own override. */
#define CONFIG_CHAIN_MAX 24

struct config_step {
    struct view name;                    /* of the key that has the text here */
    const struct config_definition *row; /* its row; NULL for a key that is not known */
    struct view text;                    /* as stored */
    int64_t factor;                      /* text * factor is in the unit of the asked key */
    enum config_source source;
};

struct config_chain {
    struct config_step steps[CONFIG_CHAIN_MAX];
    size_t count;
};

/*
 * Every place that has a text for `name`. `row` is its row, or the row behind its listener prefix,
 * or NULL when the key is not known.
 */
void config_chain_build(struct config_chain *chain, struct view name,
                        const struct config_definition *row, const struct config_layers *layers);
/*
 * The value of the first step that parses, in the unit of `row`. Null when there is none. *source
 * (may be NULL) says where it came from.
 */
struct config_value config_chain_value(const struct config_chain *chain,
                                       const struct config_definition *row,
                                       enum config_source *source, struct arena *arena);
/* Writes a value that is not null where a member of the row's C type stands. */
void config_value_store(const struct config_value *value, void *place);

#endif
