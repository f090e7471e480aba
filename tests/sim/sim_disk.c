/*
 * Files as two arrays and a map of dirty sectors, directories as two sorted lists of names and a
 * journal of the changes between them.
 *
 * A power cut draws a temper first (keep nothing, keep most, toss a coin), because the interesting
 * cases lie at the ends as well as in the middle. Then each dirty sector is kept, lost or torn,
 * each file ends somewhere between its two sizes, and each change of names happened or not.
 */
#include "tests/sim/sim_disk.h"

#include <stdio.h>

#include "base/assert.h"

static char *copy_text(struct sim_disk *disk, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = sim_get(disk->node->sim, size);
    memcpy(copy, text, size);
    return copy;
}

static void free_text(struct sim_disk *disk, char *text)
{
    if (text)
        sim_put(disk->node->sim, text, strlen(text) + 1);
}

/* ---- Names ---- */

/* The place of a name, or where it would be. */
static size_t names_place(const struct sim_names *names, const char *text, bool *found)
{
    size_t low = 0, high = names->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(names->entries[middle].text, text);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = false;
    return low;
}

struct sim_inode *sim_names_find(const struct sim_names *names, const char *text)
{
    bool found;
    size_t place = names_place(names, text, &found);
    return found ? names->entries[place].inode : NULL;
}

static void names_set(struct sim_disk *disk, struct sim_names *names, const char *text,
                      struct sim_inode *inode)
{
    bool found;
    size_t place = names_place(names, text, &found);
    if (found) {
        names->entries[place].inode = inode;
        return;
    }
    if (names->count == names->capacity) {
        size_t capacity = names->capacity ? names->capacity * 2 : 8;
        names->entries = heap_resize(&disk->node->sim->heap, MEMORY_STATE, names->entries,
                                     names->capacity * sizeof(struct sim_name),
                                     capacity * sizeof(struct sim_name));
        names->capacity = capacity;
    }
    memmove(names->entries + place + 1, names->entries + place,
            (names->count - place) * sizeof(struct sim_name));
    names->entries[place] = (struct sim_name){copy_text(disk, text), inode};
    names->count++;
}

static void names_clear(struct sim_disk *disk, struct sim_names *names, const char *text)
{
    bool found;
    size_t place = names_place(names, text, &found);
    if (!found)
        return;
    free_text(disk, names->entries[place].text);
    names->count--;
    memmove(names->entries + place, names->entries + place + 1,
            (names->count - place) * sizeof(struct sim_name));
}

static void names_free(struct sim_disk *disk, struct sim_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free_text(disk, names->entries[i].text);
    if (names->entries)
        sim_put(disk->node->sim, names->entries, names->capacity * sizeof(struct sim_name));
    *names = (struct sim_names){0};
}

static void names_copy(struct sim_disk *disk, struct sim_names *to, const struct sim_names *from)
{
    names_free(disk, to);
    for (size_t i = 0; i < from->count; i++)
        names_set(disk, to, from->entries[i].text, from->entries[i].inode);
}

static size_t sectors_memory(size_t capacity)
{
    return capacity / SECTOR_SIZE * sizeof(struct sim_sector);
}

static struct sim_inode *inode_create(struct sim_disk *disk, bool is_directory)
{
    struct sim_inode *inode = sim_get(disk->node->sim, sizeof(*inode));
    inode->is_directory = is_directory;
    inode->modified_ms = sim_clock_wall_ms(disk->node);
    list_push_back(&disk->inodes, &inode->link);
    return inode;
}

static void inode_destroy(struct sim_disk *disk, struct sim_inode *inode)
{
    struct sim *sim = disk->node->sim;
    names_free(disk, &inode->names);
    names_free(disk, &inode->platter_names);
    if (inode->capacity > 0) {
        sim_put(sim, inode->cache, inode->capacity);
        sim_put(sim, inode->platter, inode->capacity);
        sim_put(sim, inode->sectors, sectors_memory(inode->capacity));
    }
    list_remove(&inode->link);
    sim_put(sim, inode, sizeof(*inode));
}

struct sim_disk *sim_disk_create(struct sim_node *node)
{
    struct sim_disk *disk = sim_get(node->sim, sizeof(*disk));
    disk->node = node;
    list_init(&disk->inodes);
    list_init(&disk->changes);
    list_init(&disk->syncs);
    disk->root = inode_create(disk, true);
    return disk;
}

static void change_free(struct sim_disk *disk, struct sim_name_change *change)
{
    list_remove(&change->link);
    free_text(disk, change->set);
    free_text(disk, change->clear);
    sim_put(disk->node->sim, change, sizeof(*change));
}

void sim_disk_destroy(struct sim_disk *disk)
{
    while (!list_is_empty(&disk->changes))
        change_free(disk, container_of(disk->changes.next, struct sim_name_change, link));
    while (!list_is_empty(&disk->inodes))
        inode_destroy(disk, container_of(disk->inodes.next, struct sim_inode, link));
    sim_put(disk->node->sim, disk, sizeof(*disk));
}

static struct sim_inode *find(const struct sim_disk *disk, const char *path, bool is_durable)
{
    struct sim_inode *at = disk->root;
    char part[256];
    for (;;) {
        while (*path == '/')
            path++;
        size_t size = strcspn(path, "/");
        if (size == 0)
            return at;
        if (!at->is_directory || size >= sizeof(part))
            return NULL;
        memcpy(part, path, size);
        part[size] = '\0';
        path += size;
        if (strcmp(part, ".") == 0)
            continue;
        at = sim_names_find(is_durable ? &at->platter_names : &at->names, part);
        if (!at)
            return NULL;
    }
}

struct sim_inode *sim_disk_find(const struct sim_disk *disk, const char *path)
{
    return find(disk, path, false);
}

/* The same by the names that a power cut would leave. */
static struct sim_inode *disk_find_durable(const struct sim_disk *disk, const char *path)
{
    return find(disk, path, true);
}

struct sim_inode *sim_disk_parent(const struct sim_disk *disk, const char *path, const char **name)
{
    char parent[1024];
    const char *slash = strrchr(path, '/');
    size_t size = slash ? (size_t)(slash - path) : 0;
    if (size >= sizeof(parent))
        return NULL;
    memcpy(parent, path, size);
    parent[size] = '\0';
    *name = slash ? slash + 1 : path;
    struct sim_inode *inode = sim_disk_find(disk, parent);
    return inode && inode->is_directory && **name ? inode : NULL;
}

static struct sim_name_change *change_add(struct sim_disk *disk, struct sim_inode *directory)
{
    struct sim_name_change *change = sim_get(disk->node->sim, sizeof(*change));
    change->directory = directory;
    change->number = disk->next_number++;
    list_push_back(&disk->changes, &change->link);
    return change;
}

struct sim_inode *sim_disk_make(struct sim_disk *disk, struct sim_inode *directory,
                                const char *name, bool is_directory)
{
    struct sim_inode *inode = inode_create(disk, is_directory);
    names_set(disk, &directory->names, name, inode);
    struct sim_name_change *change = change_add(disk, directory);
    change->set = copy_text(disk, name);
    change->inode = inode;
    return inode;
}

/* The file has lost a name of the cache; its bytes count no more. */
static void forget_size(struct sim_disk *disk, const struct sim_inode *inode)
{
    if (inode && !inode->is_directory)
        disk->used -= inode->size;
}

void sim_disk_unlink(struct sim_disk *disk, struct sim_inode *directory, const char *name)
{
    forget_size(disk, sim_names_find(&directory->names, name));
    names_clear(disk, &directory->names, name);
    struct sim_name_change *change = change_add(disk, directory);
    change->clear = copy_text(disk, name);
}

void sim_disk_rename(struct sim_disk *disk, struct sim_inode *from, const char *from_name,
                     struct sim_inode *to, const char *to_name)
{
    struct sim_inode *inode = sim_names_find(&from->names, from_name);
    struct sim_inode *replaced = sim_names_find(&to->names, to_name);
    if (replaced == inode)
        return;
    forget_size(disk, replaced);
    names_clear(disk, &from->names, from_name);
    names_set(disk, &to->names, to_name, inode);
    struct sim_name_change *change = change_add(disk, to);
    change->set = copy_text(disk, to_name);
    change->inode = inode;
    change->clear = copy_text(disk, from_name);
    change->other_directory = from;
}

static void change_apply(struct sim_disk *disk, const struct sim_name_change *change)
{
    struct sim_inode *clear_in =
        change->other_directory ? change->other_directory : change->directory;
    if (change->clear) {
        /* Only when the name still means the same file there. */
        struct sim_inode *there = sim_names_find(&clear_in->platter_names, change->clear);
        if (!change->inode || there == change->inode)
            names_clear(disk, &clear_in->platter_names, change->clear);
    }
    if (change->set)
        names_set(disk, &change->directory->platter_names, change->set, change->inode);
}

uint64_t sim_directory_sync_begin(const struct sim_disk *disk)
{
    return disk->next_number;
}

void sim_directory_sync_end(struct sim_disk *disk, const struct sim_inode *directory,
                            uint64_t number)
{
    list_for_each_safe(link, after, &disk->changes)
    {
        struct sim_name_change *change = container_of(link, struct sim_name_change, link);
        if (change->number >= number)
            return;
        if (change->directory == directory || change->other_directory == directory) {
            change_apply(disk, change);
            change_free(disk, change);
        }
    }
}

/* ---- Data ---- */

static size_t sectors_of(uint64_t size)
{
    return (size_t)((size + SECTOR_SIZE - 1) / SECTOR_SIZE);
}

static void inode_reserve(struct sim_disk *disk, struct sim_inode *inode, uint64_t size)
{
    if (size <= inode->capacity)
        return;
    size_t capacity = inode->capacity ? inode->capacity : 4 * SECTOR_SIZE;
    while (capacity < size)
        capacity *= 2;
    struct heap *heap = &disk->node->sim->heap;
    uint8_t *cache = heap_must_get(heap, MEMORY_STATE, capacity);
    uint8_t *platter = heap_must_get(heap, MEMORY_STATE, capacity);
    struct sim_sector *sectors = heap_must_get(heap, MEMORY_STATE, sectors_memory(capacity));
    if (inode->capacity > 0) {
        memcpy(cache, inode->cache, inode->capacity);
        memcpy(platter, inode->platter, inode->capacity);
        memcpy(sectors, inode->sectors, sectors_memory(inode->capacity));
        heap_put(heap, MEMORY_STATE, inode->cache, inode->capacity);
        heap_put(heap, MEMORY_STATE, inode->platter, inode->capacity);
        heap_put(heap, MEMORY_STATE, inode->sectors, sectors_memory(inode->capacity));
    }
    inode->cache = cache;
    inode->platter = platter;
    inode->sectors = sectors;
    inode->capacity = capacity;
}

static void mark_dirty(struct sim_disk *disk, struct sim_inode *inode, uint64_t from, uint64_t to)
{
    disk->next_write++;
    if (from >= to)
        return;
    size_t first = (size_t)(from / SECTOR_SIZE), behind = (size_t)((to - 1) / SECTOR_SIZE + 1);
    for (size_t sector = first; sector < behind; sector++)
        inode->sectors[sector].cache = disk->next_write;
    bool is_clean = inode->dirty_from == inode->dirty_to;
    if (is_clean || first < inode->dirty_from)
        inode->dirty_from = first;
    if (is_clean || behind > inode->dirty_to)
        inode->dirty_to = behind;
}

void sim_inode_write(struct sim_disk *disk, struct sim_inode *inode, uint64_t offset,
                     const void *data, size_t size)
{
    if (size == 0)
        return;
    uint64_t end = offset + size;
    inode_reserve(disk, inode, end);
    memcpy(inode->cache + offset, data, size);
    mark_dirty(disk, inode, offset < inode->size ? offset : inode->size, end);
    if (end > inode->size) {
        disk->used += end - inode->size;
        inode->size = end;
        inode->size_write = disk->next_write;
    }
    inode->modified_ms = sim_clock_wall_ms(disk->node);
}

void sim_inode_truncate(struct sim_disk *disk, struct sim_inode *inode, uint64_t size)
{
    inode_reserve(disk, inode, size);
    disk->used = disk->used - inode->size + size;
    if (size < inode->size) {
        list_for_each(link, &disk->syncs)
        {
            struct sim_sync *sync = container_of(link, struct sim_sync, link);
            if (sync->inode != inode || sync->size < size)
                continue;
            sync->size = size;
            sync->was_cut = true;
        }
        memset(inode->cache + size, 0, inode->size - size);
        mark_dirty(disk, inode, size, inode->size);
    }
    inode->size = size;
    inode->size_write = ++disk->next_write;
}

struct sim_sync *sim_sync_begin(struct sim_disk *disk, struct sim_inode *inode)
{
    struct sim *sim = disk->node->sim;
    struct sim_sync *sync = sim_get(sim, sizeof(*sync));
    sync->inode = inode;
    sync->size = inode->size;
    sync->size_write = inode->size_write;
    list_push_back(&disk->syncs, &sync->link);
    size_t from = inode->dirty_from, to = inode->dirty_to;
    inode->dirty_from = inode->dirty_to = 0;
    for (size_t i = from; i < to; i++) {
        if (inode->sectors[i].cache == inode->sectors[i].platter)
            continue;
        if (sync->count++ == 0)
            inode->dirty_from = i;
        inode->dirty_to = i + 1;
    }
    if (sync->count == 0)
        return sync;
    sync->taken = sim_get(sim, sync->count * sizeof(struct sim_taken));
    struct sim_taken *taken = sync->taken;
    for (size_t i = inode->dirty_from; i < inode->dirty_to; i++) {
        if (inode->sectors[i].cache == inode->sectors[i].platter)
            continue;
        taken->sector = i;
        taken->write = inode->sectors[i].cache;
        memcpy(taken->data, inode->cache + i * SECTOR_SIZE, SECTOR_SIZE);
        taken++;
    }
    return sync;
}

void sim_sync_end(struct sim_disk *disk, struct sim_sync *sync, bool kept)
{
    struct sim_inode *inode = sync->inode;
    for (size_t i = 0; i < sync->count; i++) {
        const struct sim_taken *taken = &sync->taken[i];
        struct sim_sector *sector = &inode->sectors[taken->sector];
        if (taken->write <= sector->platter) /* a later sync was faster */
            continue;
        if (kept)
            memcpy(inode->platter + taken->sector * SECTOR_SIZE, taken->data, SECTOR_SIZE);
        sector->platter = taken->write;
    }
    /* A sync that overlapped a cut does not make the cut durable, only what it left. */
    bool is_newer = sync->size_write > inode->platter_size_write;
    if (kept && is_newer && (!sync->was_cut || inode->platter_size < sync->size)) {
        inode->platter_size = sync->size;
        inode->platter_size_write = sync->size_write;
    }
    sim_sync_abandon(disk, sync);
}

void sim_sync_abandon(struct sim_disk *disk, struct sim_sync *sync)
{
    struct sim *sim = disk->node->sim;
    list_remove(&sync->link);
    if (sync->count > 0)
        sim_put(sim, sync->taken, sync->count * sizeof(struct sim_taken));
    sim_put(sim, sync, sizeof(*sync));
}

/* ---- Crashes ---- */

enum temper { TEMPER_LOSE, TEMPER_COIN, TEMPER_KEEP, TEMPERS };

static bool keeps(struct random_stream *random, enum temper temper)
{
    if (temper == TEMPER_LOSE)
        return random_chance(random, 1, 20);
    return temper == TEMPER_COIN ? random_chance(random, 1, 2) : random_chance(random, 19, 20);
}

/* A sector that never held anything may hold anything; one that did is old or new, never torn. */
static void tear_sector(struct random_stream *random, uint8_t *platter, const uint8_t *cache)
{
    size_t kept = random_below(random, SECTOR_SIZE);
    memcpy(platter, cache, kept);
    if (random_chance(random, 1, 2))
        random_fill(random, platter + kept, SECTOR_SIZE - kept);
}

static void inode_power_cut(struct sim_disk *disk, struct sim_inode *inode, enum temper temper)
{
    struct random_stream *random = &disk->node->random;
    uint64_t low = inode->platter_size, high = inode->size;
    uint64_t size = keeps(random, temper) ? high : low;
    if (low < high && random_chance(random, 1, 3)) /* grew in steps: any step may be the last */
        size = low + random_below(random, high - low + 1);
    for (size_t i = 0; i < sectors_of(high > low ? high : low); i++) {
        uint8_t *platter = inode->platter + i * SECTOR_SIZE;
        if (inode->sectors[i].cache == inode->sectors[i].platter)
            continue;
        if (keeps(random, temper))
            memcpy(platter, inode->cache + i * SECTOR_SIZE, SECTOR_SIZE);
        else if (i * SECTOR_SIZE >= low && random_chance(random, 1, 4))
            tear_sector(random, platter, inode->cache + i * SECTOR_SIZE);
        inode->sectors[i].platter = inode->sectors[i].cache;
    }
    if (inode->capacity > size)
        memset(inode->platter + size, 0, inode->capacity - size);
    if (inode->capacity > 0)
        memcpy(inode->cache, inode->platter, inode->capacity);
    inode->size = inode->platter_size = size;
    inode->size_write = inode->platter_size_write = ++disk->next_write;
}

static void mark_reachable(struct sim_inode *inode)
{
    if (inode->marked)
        return;
    inode->marked = true;
    for (size_t i = 0; i < inode->names.count; i++)
        mark_reachable(inode->names.entries[i].inode);
    for (size_t i = 0; i < inode->platter_names.count; i++)
        mark_reachable(inode->platter_names.entries[i].inode);
}

/* Frees inodes without names; only while the node does not run. */
static void sweep(struct sim_disk *disk)
{
    list_for_each(link, &disk->inodes)
    {
        container_of(link, struct sim_inode, link)->marked = false;
    }
    mark_reachable(disk->root);
    list_for_each(link, &disk->changes)
    {
        const struct sim_name_change *change = container_of(link, struct sim_name_change, link);
        if (change->inode)
            mark_reachable(change->inode);
        mark_reachable(change->directory);
        if (change->other_directory)
            mark_reachable(change->other_directory);
    }
    disk->used = 0;
    list_for_each_safe(link, after, &disk->inodes)
    {
        struct sim_inode *inode = container_of(link, struct sim_inode, link);
        inode->lock = NULL;
        if (!inode->marked)
            inode_destroy(disk, inode);
    }
    list_for_each(link, &disk->inodes)
    {
        const struct sim_inode *inode = container_of(link, struct sim_inode, link);
        for (size_t i = 0; i < inode->names.count; i++)
            disk->used += inode->names.entries[i].inode->size;
    }
}

void sim_disk_process_crash(struct sim_disk *disk)
{
    sweep(disk);
}

void sim_disk_power_cut(struct sim_disk *disk)
{
    struct random_stream *random = &disk->node->random;
    enum temper temper = (enum temper)random_below(random, TEMPERS);
    list_for_each(link, &disk->inodes)
    {
        struct sim_inode *inode = container_of(link, struct sim_inode, link);
        if (!inode->is_directory)
            inode_power_cut(disk, inode, temper);
    }
    while (!list_is_empty(&disk->changes)) {
        struct sim_name_change *change =
            container_of(disk->changes.next, struct sim_name_change, link);
        if (keeps(random, temper))
            change_apply(disk, change);
        change_free(disk, change);
    }
    list_for_each(link, &disk->inodes)
    {
        struct sim_inode *inode = container_of(link, struct sim_inode, link);
        if (inode->is_directory)
            names_copy(disk, &inode->names, &inode->platter_names);
    }
    sweep(disk);
    sim_fold(disk->node->sim, disk->used);
}

const uint8_t *sim_file(const struct sim *sim, unsigned node, const char *path, uint64_t *size)
{
    const struct sim_inode *inode = sim_disk_find(sim->nodes[node]->disk, path);
    if (!inode || inode->is_directory)
        return NULL;
    *size = inode->size;
    return inode->capacity ? inode->cache : (const uint8_t *)"";
}

const char *sim_file_name(const struct sim *sim, unsigned node, const char *path, size_t index)
{
    const struct sim_inode *inode = sim_disk_find(sim->nodes[node]->disk, path);
    if (!inode || !inode->is_directory || index >= inode->names.count)
        return NULL;
    return inode->names.entries[index].text;
}

const uint8_t *sim_platter_file(const struct sim *sim, unsigned node, const char *path,
                                uint64_t *size)
{
    const struct sim_inode *inode = disk_find_durable(sim->nodes[node]->disk, path);
    if (!inode || inode->is_directory)
        return NULL;
    *size = inode->platter_size;
    return inode->capacity ? inode->platter : (const uint8_t *)"";
}

void sim_put_file(struct sim *sim, unsigned number, const char *path, const void *data, size_t size)
{
    klamm_assert(!sim->nodes[number]->running);
    struct sim_disk *disk = sim->nodes[number]->disk;
    struct sim_inode *at = disk->root;
    for (;;) {
        while (*path == '/')
            path++;
        char part[256];
        size_t length = strcspn(path, "/");
        klamm_assert(length > 0 && length < sizeof(part));
        memcpy(part, path, length);
        part[length] = '\0';
        path += length;
        bool is_last = *path == '\0';
        struct sim_inode *inode = sim_names_find(&at->names, part);
        if (!inode)
            inode = sim_disk_make(disk, at, part, !is_last);
        sim_directory_sync_end(disk, at, sim_directory_sync_begin(disk));
        if (is_last) {
            sim_inode_truncate(disk, inode, 0);
            sim_inode_write(disk, inode, 0, data, size);
            sim_sync_end(disk, sim_sync_begin(disk, inode), true);
            return;
        }
        at = inode;
    }
}

void sim_wipe_disk(struct sim *sim, unsigned number)
{
    struct sim_node *node = sim->nodes[number];
    klamm_assert(!node->running);
    sim_disk_destroy(node->disk);
    node->disk = sim_disk_create(node);
}

void sim_swap_disks(struct sim *sim, unsigned one, unsigned other)
{
    struct sim_node *first = sim->nodes[one], *second = sim->nodes[other];
    klamm_assert(!first->running && !second->running);
    struct sim_disk *disk = first->disk;
    first->disk = second->disk;
    second->disk = disk;
    first->disk->node = first;
    second->disk->node = second;
}

bool sim_rot(struct sim *sim, unsigned node, const char *path, uint64_t offset, uint8_t flip)
{
    struct sim_inode *inode = sim_disk_find(sim->nodes[node]->disk, path);
    if (!inode || inode->is_directory || offset >= inode->size)
        return false;
    inode->cache[offset] ^= flip;
    inode->platter[offset] ^= flip;
    return true;
}

static void print_files(const struct sim_inode *directory, int depth)
{
    for (size_t i = 0; i < directory->names.count; i++) {
        const struct sim_inode *inode = directory->names.entries[i].inode;
        fprintf(stderr, "%*s%s %llu/%llu\n", depth * 2, "", directory->names.entries[i].text,
                (unsigned long long)inode->size, (unsigned long long)inode->platter_size);
        if (inode->is_directory)
            print_files(inode, depth + 1);
    }
}

void sim_print_files(const struct sim *sim, unsigned node)
{
    print_files(sim->nodes[node]->disk->root, 1);
}
