/* catalog_private.h - what the files of the catalog share. */
#ifndef OMEN_STORE_CATALOG_PRIVATE_H
#define OMEN_STORE_CATALOG_PRIVATE_H

#include "os/thread.h"
#include "store/catalog.h"

struct entry {
    struct table *table;
    uint64_t begin, end;
};

struct catalog {
    struct allocator *allocator;
    struct txn_manager *manager;
    struct rwlock lock;
    struct entry *entries;
    size_t count;
    size_t capacity;
    uint64_t id_next;                 /* guarded by the writer lock */
    const struct catalog_view *views; /* set once, as are these: */
    size_t view_count;
    void *view_context;
    atomic_uint_fast64_t version;
    atomic_uint_fast64_t pending; /* the first change not yet counted in `version`; 0 = none */
};

/* The entry that the next change of the name has to do with, or NULL. As the writer, `lock` held.
 */
struct entry *catalog_newest(const struct catalog *catalog, const char *name);

/* The view of this name, or NULL. */
const struct catalog_view *catalog_view_of(const struct catalog *catalog, const char *name,
                                           size_t length);

/* Hints at a table that is there at `now` and whose name is near this one. `lock` is held. */
void catalog_hint(const struct catalog *catalog, const char *name, uint64_t now, omen_error *error);

/* Makes room for `more` entries. As the writer. */
bool catalog_grow(struct catalog *catalog, size_t more);

/* Lists a table, whose reference it takes over. There is room. As the writer. */
void catalog_list_table(struct catalog *catalog, struct table *table, uint64_t begin);

/* Ends the table of this id. As the writer. */
void catalog_end_table(struct catalog *catalog, uint64_t id, uint64_t timestamp);

#endif
