/* Applying an image on a shard. */
#include "broker/shard_metadata.h"

#include "broker/shard.h"

void shard_apply_image(struct image_update *update, struct loop *loop)
{
    struct shard *shard = shard_of(loop);
    shard->image = update->image;
    image_update_shown(update);
}
