/* Picks the call of the seam that suits the place; a short read of a job becomes STORAGE_IO. */
#include "log/file_reader.h"

enum storage_status file_reader_read(const struct file_reader *reader, uint64_t offset, void *data,
                                     size_t size)
{
    if (!reader->blocking)
        return storage_read_now(reader->storage, reader->file, offset, data, size);
    size_t read_size = 0;
    enum storage_status status =
        storage_run_read(reader->storage, reader->file, offset, data, size, &read_size);
    if (status != STORAGE_OK)
        return status;
    return read_size == size ? STORAGE_OK : STORAGE_IO;
}
