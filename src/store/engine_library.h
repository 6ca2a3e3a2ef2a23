/* engine_library.h - the SQL engine's shared object: finding it, loading it, and its Parquet.
 *
 * It is looked for where the options say, else where OMENDB_ENGINE says, else beside this library.
 * A failed attempt is not remembered: the next one tries again. A loaded object is never unloaded,
 * because its threads may outlast the database. Thread-safe.
 */
#ifndef OMEN_STORE_ENGINE_LIBRARY_H
#define OMEN_STORE_ENGINE_LIBRARY_H

#include "omendb_engine.h"
#include "store/database.h"
#include "store/segment_codec.h"

/* The engine's functions. Errors: ENGINE_MISSING, with the path and the reason. */
OMEN_MUST_CHECK omen_status engine_library_load(struct database *database, const omen_engine **out,
                                                omen_error *error);

/* The engine's Parquet; loads the library when something is to be read or written. The database
 * lives as long as columns may be read. */
struct segment_codec codec_parquet(struct database *database);

#endif
