/*
 * A simulated disk: what programs see (the cache) and what survives a power cut (the platter), for
 * data sector by sector and for names operation by operation.
 *
 * Invariants:
 *  1. The cache is what every call reads and writes. The platter changes only when a sync ends, or
 *     at a power cut, when each unsynced sector and each unsynced name operation is kept or not.
 *  2. A sector that is not dirty is the same in both, except where a failed sync has lied.
 *  3. Inodes are kept while a name or an open file of the running node refers to them, on either
 *     side.
 */
#ifndef KLAMM_TESTS_SIM_SIM_DISK_H
#define KLAMM_TESTS_SIM_SIM_DISK_H

#include "runtime/storage.h"
#include "tests/sim/sim_internal.h"

enum { SECTOR_SIZE = 512 };

struct sim_inode;

/* A name in a directory. */
struct sim_name {
    char *text;
    struct sim_inode *inode;
};

struct sim_names {
    struct sim_name *entries; /* sorted by text */
    size_t count, capacity;
};

/* A change of names that is in the cache and not yet on the platter. */
struct sim_name_change {
    struct list link;
    uint64_t number; /* grows */
    struct sim_inode *directory;
    char *set;   /* this name now means `inode`; NULL: no such part */
    char *clear; /* this name is gone; NULL: no such part */
    struct sim_inode *inode;
    struct sim_inode *other_directory; /* where `clear` is, for a rename between directories */
};

/* Which write a sector holds, on either side; dirty: not the same. */
struct sim_sector {
    uint32_t cache;
    uint32_t platter;
};

struct sim_inode {
    struct list link; /* disk.inodes */
    bool is_directory;
    int64_t modified_ms;
    /* A file. */
    uint8_t *cache;
    uint8_t *platter;
    struct sim_sector *sectors;
    size_t capacity;             /* bytes of cache and platter, whole sectors */
    size_t dirty_from, dirty_to; /* no sector outside of it is dirty */
    uint64_t size;               /* as the cache has it */
    uint64_t platter_size;
    uint32_t size_write;         /* the write that made `size` */
    uint32_t platter_size_write; /* and platter_size */
    const void *lock;            /* the open file that holds the lock */
    uint64_t lock_incarnation;
    /* A directory. */
    struct sim_names names;
    struct sim_names platter_names;
    bool marked; /* while inodes are swept */
};

struct sim_disk {
    struct sim_node *node;
    struct list inodes;
    struct list changes; /* sim_name_change, oldest first */
    struct list syncs;   /* sim_sync, under way */
    struct sim_inode *root;
    uint64_t used; /* bytes of all files in the cache */
    uint64_t next_number;
    uint32_t next_write;
};

/* A dirty sector as a sync has seen it. */
struct sim_taken {
    size_t sector;
    uint32_t write;
    uint8_t data[SECTOR_SIZE];
};

/* What a sync has seen when it was submitted. */
struct sim_sync {
    struct list link; /* disk.syncs */
    struct sim_inode *inode;
    uint64_t size; /* or the smallest since, when the file was cut meanwhile */
    uint32_t size_write;
    bool was_cut;
    size_t count;
    struct sim_taken *taken; /* dirty sectors with their bytes */
};

struct sim_inode *sim_disk_find(const struct sim_disk *disk, const char *path);
/* The directory that holds the last part of the path; *name gets that part. NULL: none such. */
struct sim_inode *sim_disk_parent(const struct sim_disk *disk, const char *path, const char **name);
struct sim_inode *sim_names_find(const struct sim_names *names, const char *text);
struct sim_inode *sim_disk_make(struct sim_disk *disk, struct sim_inode *directory,
                                const char *name, bool is_directory);
void sim_disk_unlink(struct sim_disk *disk, struct sim_inode *directory, const char *name);
void sim_disk_rename(struct sim_disk *disk, struct sim_inode *from, const char *from_name,
                     struct sim_inode *to, const char *to_name);
/* Writes to the cache and grows the file. */
void sim_inode_write(struct sim_disk *disk, struct sim_inode *inode, uint64_t offset,
                     const void *data, size_t size);
void sim_inode_truncate(struct sim_disk *disk, struct sim_inode *inode, uint64_t size);
struct sim_sync *sim_sync_begin(struct sim_disk *disk, struct sim_inode *inode);
/* Ends a sync: `kept` false when it failed, then what it saw is clean without being stored. */
void sim_sync_end(struct sim_disk *disk, struct sim_sync *sync, bool kept);
/* Forgets a sync whose end nobody will see. */
void sim_sync_abandon(struct sim_disk *disk, struct sim_sync *sync);
/* The number behind all changes of names so far. */
uint64_t sim_directory_sync_begin(const struct sim_disk *disk);
/* Makes the changes of the directory before `number` durable. */
void sim_directory_sync_end(struct sim_disk *disk, const struct sim_inode *directory,
                            uint64_t number);

#endif
