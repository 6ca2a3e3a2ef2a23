/* definition.h - a table's definition as bytes: in the manifest, and in the log where it is
 * created.
 *
 * docs/FILE_FORMAT.md, "A table's definition". Thread-safe: pure functions.
 */
#ifndef OMEN_STORE_DEFINITION_H
#define OMEN_STORE_DEFINITION_H

#include "base/bytes.h"
#include "base/status.h"
#include "column/schema.h"

/* What is persistent of a table besides its rows. */
struct table_definition {
    uint64_t id; /* of this table alone in this database, for ever */
    char name[SCHEMA_NAME_BYTES_MAX + 1];
    struct schema *schema; /* retained */
};

/* Appends the definition; the writer remembers where memory was out. */
void definition_encode(struct byte_writer *writer, uint64_t id, const char *name,
                       const struct schema *schema);

/* Takes one definition; `out` is given back by definition_release. Bytes that are none are
 * CORRUPTED, whatever they are. Errors: CORRUPTED, OUT_OF_MEMORY; `out->schema` is NULL then. */
OMEN_MUST_CHECK omen_status definition_decode(struct byte_reader *reader,
                                              struct allocator *allocator,
                                              struct table_definition *out, omen_error *error);

/* The first format of the manifest that has definitions with */
enum {
    DEFINITION_FIRST = 1,   /* columns and a primary key */
    DEFINITION_UNIQUES = 2, /* unique constraints */
    DEFINITION_NEWEST = DEFINITION_UNIQUES,
};

/* That which this schema's definition needs. */
uint32_t definition_format(const struct schema *schema);

void definition_release(struct table_definition *definition);

/* Names of tables: 1 to 63 bytes of UTF-8 without zeros. Errors: INVALID_TABLE, NAME_TOO_LONG,
 * INVALID_ENCODING. */
OMEN_MUST_CHECK omen_status definition_check_name(const char *name, omen_error *error);

#endif
