/*
 * A log directory on disk: lock, identity, clean-stop marker, checkpoints, partition directories.
 *
 * Everything here blocks and runs inside jobs; struct log_boot_job bundles what a start needs for
 * all directories of a node. Who serves what is decided by the caller, from the metadata.
 *
 * Invariants:
 *  1. A directory is used by one process: `.lock` is held from open to close.
 *  2. The clean marker is deleted, durably, before anything of the directory is loaded, so a crash
 *     while loading counts as unclean.
 *  3. A sub-directory that is no partition directory stops the start with a message that names it;
 *     plain files that are not known are left alone.
 */
#ifndef KLAMM_LOG_LOG_DIRECTORY_H
#define KLAMM_LOG_LOG_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/uuid.h"
#include "log/checkpoint_file.h"
#include "log/directory_name.h"
#include "log/file_content.h"
#include "log/log_path.h"
#include "log/meta_properties.h"
#include "runtime/job.h"
#include "runtime/storage.h"

#define LOG_DIRECTORY_LOCK_NAME         ".lock"
#define LOG_DIRECTORY_CLEAN_MARKER_NAME ".kafka_cleanshutdown"

enum { LOG_DIRECTORY_COUNT_MAX = 64 };

/* A partition directory that was found. */
struct log_directory_entry {
    const char *name; /* of the directory, NUL-terminated */
    struct directory_name parsed;
    struct uuid topic_id;   /* zero: partition.metadata is missing or damaged */
    int64_t recovery_point; /* from the checkpoints; 0 where there is no entry */
    bool is_checkpointed;   /* there is one for the recovery point */
    int64_t log_start_offset;
    int64_t high_watermark;
    /* Kept by the clean stop before and still true, for partition_log_open_known; else empty. */
    struct view state;
    int64_t cleaner_offset; /* -1 where there is no entry */
};

/* What a start found in one log directory. */
struct log_directory_found {
    struct log_path path;
    struct storage_file *lock; /* NULL when the directory could not be opened */
    struct meta_properties meta;
    bool is_formatted_now;      /* meta.properties was written by this start */
    bool is_failed;             /* an I/O error: the directory is offline, the others go on */
    bool is_clean;              /* the marker was there */
    bool has_journals;          /* files of that name lie at its top */
    int64_t clean_broker_epoch; /* from the marker, -1 when none */
    /* All kinds; `__cluster_metadata` is left out. Sorted by name. */
    struct log_directory_entry *entries;
    size_t entry_count;
    struct file_content state; /* what the entries' states lie in; log_boot_forget_states */
};

enum log_boot_status {
    LOG_BOOT_OK,
    LOG_BOOT_REFUSED, /* `message` says why; the process should exit */
    LOG_BOOT_IO,      /* every directory, or the metadata directory, failed */
};

/*
 * Opens all log directories of a node. Fill the first part, start with loop_start_job, read the
 * second part in `job.done`. The results live in the job until log_boot_release.
 */
struct log_boot_job {
    struct job job;
    /* In. */
    const char *const *paths; /* path_count, distinct; made when missing, with parents */
    size_t path_count;
    const char *metadata_path; /* where __cluster_metadata lives; one of the paths */
    int32_t node_id;
    /* Expected cluster id; empty: whatever the directories say. */
    struct view cluster_id;
    /* Used when no directory has one; empty: then unformatted directories are refused. */
    struct view new_cluster_id;
    bool may_format; /* write meta.properties into directories that have none */
    /* Even so, the metadata's directory must be formatted: it may have held a vote. */
    bool metadata_must_be_formatted;
    const struct uuid *new_directory_ids; /* path_count fresh random ids, for formatting */
    void *context;
    /* Out. */
    enum log_boot_status status;
    char message[512];
    bool is_unformatted; /* refused, because a directory is not formatted */
    char cluster_id_found[META_CLUSTER_ID_MAX + 1];
    struct log_directory_found *found; /* path_count, in the order of the paths */
    /* Private. */
    struct arena arena;
    struct log_boot_progress *progress;
};

/* Sets `step` and the private part; the caller sets `job.done`. */
void log_boot_init(struct log_boot_job *boot);
/* Gives the results back; locks stay held and belong to whoever took them over. */
void log_boot_release(struct log_boot_job *boot);

/* Every log that the start found is open, or will be opened in the usual way: the kept states go.
 */
void log_boot_forget_states(struct log_boot_job *boot);

/* Makes the directory and its missing parents. NOT_EMPTY: a part of the path is no directory. */
enum storage_status log_directory_make(struct storage storage, const char *path);
/*
 * Makes the names on the way to a directory durable: a process that made them may have died before
 * it synced them. Directories above that may not be opened are not ours to sync.
 */
enum storage_status log_directory_sync_names(struct storage storage, const char *path);
/* Writes meta.properties durably. */
enum storage_status log_directory_write_meta(struct storage storage, const char *path,
                                             const struct meta_properties *meta);
/* Writes the clean-stop marker durably: the last act of an orderly stop. */
enum storage_status log_directory_write_clean_marker(struct storage storage, const char *path,
                                                     int64_t broker_epoch);
/* The broker epoch in a marker's JSON; -1 when there is none (the marker still counts). */
int64_t log_directory_parse_clean_marker(struct view text);

/*
 * Topic or replica deletion, first half: renames the partition directory to a delete name and syncs
 * the log directory. *renamed gets the new path. Second half: log_directory_remove.
 */
enum storage_status log_directory_mark(struct storage storage, const char *log_directory,
                                       struct view topic, int32_t partition,
                                       enum directory_kind kind, struct uuid unique_id,
                                       struct log_path *renamed);
/*
 * Removes a partition directory with its files, at most `budget` of them in this call.
 * *is_finished tells whether it is gone. A directory that is missing is finished.
 */
enum storage_status log_directory_remove(struct storage storage, const char *path,
                                         struct heap *scratch, size_t budget, bool *is_finished);

#endif
