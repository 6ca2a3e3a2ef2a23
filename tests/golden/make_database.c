/* make_database.c - makes one of the databases that tests/golden keeps, as make_golden.py says.
 *
 * usage: make_database parquet|plain close|crash DIRECTORY < STATEMENTS     one statement a line
 *        make_database newer FILE        a manifest or log file gets the next format's number, its
 *                                        header's checksum along
 *
 * `crash`: the process ends without closing, so that the log has what no checkpoint has. No
 * background work, so that the statements alone decide what the files hold; a line `MAINTAIN` runs
 * it, and `SEAL table` begins a new row group.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/api_private.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "store/manifest.h"
#include "wal/wal_format.h"

enum { LINE_BYTES = 1 << 16, LOG_FILE_BYTES = 65536, FILE_BYTES_MAX = 1 << 20 };

static void fail(const char *what, const omen_error *error)
{
    fprintf(stderr, "make_database: %.200s: %s %s\n", what, error->sqlstate, error->message);
    exit(1);
}

static void seal(struct database *database, const char *name)
{
    struct table **tables;
    size_t count;
    OMEN_ASSERT(catalog_list(database->catalog, &tables, &count) == OMEN_OK);
    for (size_t i = 0; i < count; i++)
        if (strcmp(table_name(tables[i]), name) == 0)
            table_seal_open(tables[i]);
    catalog_list_release(database->catalog, tables, count);
}

static void run_line(struct database *database, omen_connection *connection, const char *line)
{
    omen_error error;
    struct ArrowArrayStream rows;
    bool more = true;
    if (strcmp(line, "MAINTAIN") == 0) {
        while (more)
            if (database_maintain(database, 0, &more) != OMEN_OK)
                exit(1);
        return;
    }
    if (strncmp(line, "SEAL ", 5) == 0) {
        seal(database, line + 5);
        return;
    }
    if (omen_query(connection, line, SIZE_MAX, &rows, NULL, &error) != OMEN_OK)
        fail(line, &error);
    rows.release(&rows);
}

static void run_lines(struct database *database, omen_connection *connection)
{
    static char line[LINE_BYTES];
    while (fgets(line, sizeof line, stdin) != NULL) {
        size_t length = strcspn(line, "\n");
        OMEN_ASSERT(line[length] == '\n');
        line[length] = '\0';
        if (length > 0)
            run_line(database, connection, line);
    }
}

static int make(const char *codec, const char *end, const char *path)
{
    const struct database_options options = {
        .path = path,
        .log_file_bytes = LOG_FILE_BYTES,
        .reserve_bytes = 4096,
        .no_background = true,
        .plain_segments = strcmp(codec, "plain") == 0,
    };
    struct database *database;
    omen_connection *connection = NULL;
    omen_error error;
    if (database_open(&os_real, &options, &database, &error) != OMEN_OK ||
        omen_connect((omen_database *)database, &connection, &error) != OMEN_OK)
        fail(path, &error);
    run_lines(database, connection);
    if (strcmp(end, "crash") == 0)
        _exit(0);
    omen_disconnect(connection);
    if (omen_close((omen_database *)database, &error) != OMEN_OK)
        fail(path, &error);
    return 0;
}

/* Manifests have their header's checksum at 56, of bytes 0 to 55; log files at 16, of 24 to 95. */
static int make_newer(const char *path)
{
    static uint8_t bytes[FILE_BYTES_MAX];
    FILE *file = fopen(path, "r+b");
    if (file == NULL)
        return 1;
    size_t length = fread(bytes, 1, sizeof bytes, file);
    OMEN_ASSERT(length >= 96);
    bool is_log = memcmp(bytes, "OMENLOG", 8) == 0;
    bytes_put_u32(bytes + 8, is_log ? WAL_FORMAT_VERSION + 1 : MANIFEST_FORMAT + 1);
    if (is_log)
        bytes_put_u64(bytes + 16, checksum64(bytes + 24, 72, 0));
    else
        bytes_put_u64(bytes + 56, checksum64(bytes, 56, 0));
    rewind(file);
    OMEN_ASSERT(fwrite(bytes, 1, length, file) == length);
    return fclose(file);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "newer") == 0)
        return make_newer(argv[2]);
    if (argc != 4) {
        fprintf(stderr, "usage: make_database parquet|plain close|crash DIRECTORY\n"
                        "       make_database newer FILE\n");
        return 2;
    }
    return make(argv[1], argv[2], argv[3]);
}
