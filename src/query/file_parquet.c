/* file_parquet.c - Parquet files as tables. */
#include "query/file_private.h"

static omen_status parquet_open(struct table_file *file, omen_error *error)
{
    return error_set(error, OMEN_NOT_SUPPORTED, "reading Parquet files is not supported");
}

const struct file_format file_format_parquet = {.open = parquet_open};
