/* engine_library.c - see engine_library.h. */
#include "store/engine_library.h"

#include <stdio.h>
#include <string.h>

enum { PATH_BYTES_MAX = 4096 };

static omen_status find_path(const struct database *database, char *path, omen_error *error)
{
    const char *given = database->engine_path;
    if (given == NULL)
        given = database->os->environment(database->os, "OMENDB_ENGINE");
    if (given != NULL && given[0] != '\0') {
        if (snprintf(path, PATH_BYTES_MAX, "%s", given) < PATH_BYTES_MAX)
            return OMEN_OK;
        return error_set(error, OMEN_ENGINE_MISSING, "the path of the SQL engine is too long");
    }
    static const char file[] = "/libomendb_engine.so";
    OMEN_TRY(database->os->own_folder(database->os, path, PATH_BYTES_MAX - sizeof file, error));
    memcpy(path + strlen(path), file, sizeof file);
    return OMEN_OK;
}

/* Loads the shared object and checks that it speaks this version of the ABI. */
static omen_status load(const struct database *database, const omen_engine **out, omen_error *error)
{
    char path[PATH_BYTES_MAX];
    void *library = NULL;
    omen_error reason = {.message = ""};
    const struct os *os = database->os;
    OMEN_TRY(find_path(database, path, error));
    if (os->library_open(os, path, &library, &reason) != OMEN_OK)
        return error_set(error, OMEN_ENGINE_MISSING,
                         "this statement needs the SQL engine, and \"%.200s\" could not be "
                         "loaded (set OMENDB_ENGINE to its path): %.200s",
                         path, reason.message);
    omen_engine_entry_function entry;
    void *symbol = os->library_symbol(os, library, "omen_engine_entry");
    memcpy(&entry, &symbol, sizeof entry);
    if (symbol == NULL) {
        os->library_close(os, library);
        return error_set(error, OMEN_ENGINE_MISSING,
                         "\"%.300s\" is not an OmenDB engine: it has no omen_engine_entry", path);
    }
    *out = entry(OMEN_ENGINE_ABI_VERSION);
    if (*out == NULL || (*out)->abi_version != OMEN_ENGINE_ABI_VERSION ||
        (*out)->struct_bytes != sizeof(omen_engine)) {
        *out = NULL;
        os->library_close(os, library);
        return error_set(error, OMEN_ENGINE_MISSING,
                         "the SQL engine \"%.300s\" is of another version: this library speaks "
                         "version %d of the engine interface",
                         path, OMEN_ENGINE_ABI_VERSION);
    }
    return OMEN_OK;
}

omen_status engine_library_load(struct database *database, const omen_engine **out,
                                omen_error *error)
{
    omen_status status = OMEN_OK;
    mutex_lock(&database->library_lock);
    if (database->library == NULL)
        status = load(database, &database->library, error);
    *out = database->library;
    mutex_unlock(&database->library_lock);
    return status;
}

/* --- Parquet --- */

static omen_status parquet_write(void *context, const struct ArrowSchema *schema,
                                 struct ArrowArrayStream *groups, uint32_t group_count,
                                 const omen_engine_writer *writer, omen_error *error)
{
    const omen_engine *engine;
    omen_status status = engine_library_load(context, &engine, error);
    if (status == OMEN_OK)
        return engine->segment_write(schema, groups, group_count, writer, error);
    for (uint32_t i = 0; i < group_count; i++)
        groups[i].release(&groups[i]);
    return status;
}

static omen_status parquet_read(void *context, const struct ArrowSchema *schema,
                                const omen_engine_reader *reader, uint32_t group,
                                const uint32_t *columns, uint32_t column_count,
                                struct ArrowArrayStream *out, omen_error *error)
{
    const omen_engine *engine;
    out->release = NULL;
    OMEN_TRY(engine_library_load(context, &engine, error));
    return engine->segment_read(schema, reader, group, columns, column_count, out, error);
}

struct segment_codec codec_parquet(struct database *database)
{
    return (struct segment_codec){.id = SEGMENT_CODEC_PARQUET,
                                  .context = database,
                                  .write = parquet_write,
                                  .read = parquet_read};
}
