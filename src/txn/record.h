/* record.h - what a commit is made of in the log: records, one behind the other.
 *
 *   commit:  timestamp u64 | record | record | ...        record: kind u8 | what the kind says
 *
 * Each participant of a commit writes its records as its redo; each kind of record tells its own
 * length. docs/FILE_FORMAT.md, "Records".
 */
#ifndef OMEN_TXN_RECORD_H
#define OMEN_TXN_RECORD_H

/* Numbers are part of the file format: only ever append. */
enum record_kind {
    RECORD_ROWS = 1,         /* rows of one table: table id u64, ... (src/table) */
    RECORD_CREATE_TABLE = 2, /* its definition (src/store) */
    RECORD_DROP_TABLE = 3,   /* table id u64 (src/store) */
};

#endif
