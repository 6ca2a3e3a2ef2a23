/* txn_commit.c - the commit pipeline: validate, reserve, append, apply.
 *
 *   writer lock held:  validate -> reserve (memory, room in the log, a place in flight)
 *                      append      may fail: everything is undone, nothing has happened
 *                      end of the commit in the log -> apply -> in flight
 *                                  cannot fail
 *
 * Memory is taken before the commit ends in the log, so that it is in the log and in the rows, or
 * in neither. The redo is encoded into a small buffer on the stack: a commit of a few rows is one
 * append and no allocation.
 *
 * Without a log a commit is published where it is applied, and none of this costs anything.
 */
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "txn/txn_private.h"

enum { REDO_BUFFER_BYTES = 4096 };

struct txn_redo {
    const struct txn_log_ops *ops;
    void *log;
    omen_error *error;
    omen_status status; /* the log's first failure: nothing more is appended */
    size_t used;        /* of the buffer */
    uint64_t written;   /* bytes, those in the buffer too */
    uint8_t buffer[REDO_BUFFER_BYTES];
};

static void redo_append(struct txn_redo *redo, const void *data, size_t length)
{
    if (redo->status == OMEN_OK && length > 0)
        redo->status = redo->ops->append(redo->log, data, length, redo->error);
}

static void redo_flush(struct txn_redo *redo)
{
    redo_append(redo, redo->buffer, redo->used);
    redo->used = 0;
}

void txn_redo_put(struct txn_redo *redo, const void *data, size_t length)
{
    redo->written += length;
    if (length > sizeof redo->buffer - redo->used) {
        redo_flush(redo);
        if (length > sizeof redo->buffer / 2) {
            redo_append(redo, data, length);
            return;
        }
    }
    if (length > 0)
        memcpy(redo->buffer + redo->used, data, length);
    redo->used += length;
}

/* --- reserving --- */

static void abort_participants(const struct txn_participant *participants, size_t count)
{
    while (count-- > 0)
        participants[count].ops->abort(participants[count].self);
}

static omen_status reserve_participants(const struct txn_participant *participants, size_t count,
                                        omen_error *error)
{
    for (size_t i = 0; i < count; i++) {
        omen_status status = participants[i].ops->reserve(participants[i].self, error);
        if (status != OMEN_OK) {
            abort_participants(participants, i);
            return status;
        }
    }
    return OMEN_OK;
}

/* Bytes of the commit in the log; 0 where it has nothing to say. */
static uint64_t redo_bytes(const struct txn_participant *participants, size_t count)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        if (participants[i].ops->redo_bytes != NULL)
            bytes += participants[i].ops->redo_bytes(participants[i].self);
    return bytes == 0 ? 0 : bytes + TXN_REDO_HEAD_BYTES;
}

/* A place in flight and, for `bytes` > 0, room in the log. */
static omen_status reserve_log(struct txn_manager *manager, uint64_t bytes, omen_error *error)
{
    if (manager->log_ops == NULL)
        return OMEN_OK;
    omen_status status = flight_reserve(manager);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    return bytes == 0 ? OMEN_OK : manager->log_ops->reserve(manager->log, bytes, error);
}

/* --- the log --- */

static omen_status append_redo(struct txn_manager *manager,
                               const struct txn_participant *participants, size_t count,
                               uint64_t timestamp, uint64_t bytes, omen_error *error)
{
    struct txn_redo redo; /* its buffer is not cleared */
    redo.ops = manager->log_ops;
    redo.log = manager->log;
    redo.error = error;
    redo.status = OMEN_OK;
    redo.written = redo.used = 0;
    uint8_t head[TXN_REDO_HEAD_BYTES];
    bytes_put_u64(head, timestamp);
    txn_redo_put(&redo, head, sizeof head);
    for (size_t i = 0; i < count; i++)
        if (participants[i].ops->redo_bytes != NULL)
            participants[i].ops->redo(participants[i].self, &redo);
    redo_flush(&redo);
    OMEN_ASSERT(redo.written == bytes); /* what was reserved */
    return redo.status;
}

/* --- the pipeline --- */

omen_status txn_commit(struct txn_manager *manager, const struct txn_participant *participants,
                       size_t count, enum txn_durability durability, struct txn_ticket *ticket,
                       omen_error *error)
{
    for (size_t i = 0; i < count; i++)
        OMEN_TRY(participants[i].ops->validate(participants[i].self, error));
    OMEN_TRY(reserve_participants(participants, count, error));
    bool logged = manager->log_ops != NULL;
    uint64_t bytes = logged ? redo_bytes(participants, count) : 0;
    uint64_t now = manager->last + 1;
    omen_status status = reserve_log(manager, bytes, error);
    if (status == OMEN_OK && bytes > 0)
        status = append_redo(manager, participants, count, now, bytes, error);
    if (status != OMEN_OK) {
        abort_participants(participants, count);
        return status;
    }
    manager->last = now;
    if (bytes > 0)
        manager->last_lsn = manager->log_ops->commit(manager->log);
    for (size_t i = 0; i < count; i++)
        participants[i].ops->apply(participants[i].self, now);
    bool waits = bytes > 0 && durability == TXN_DURABLE;
    flight_add(manager, (struct flight){.timestamp = now, .lsn = waits ? manager->last_lsn : 0});
    if (ticket != NULL)
        *ticket = txn_newest(manager);
    if (ticket != NULL && waits)
        ticket->lsn = manager->last_lsn;
    return OMEN_OK;
}

omen_status txn_next_timestamp(struct txn_manager *manager, uint64_t *timestamp)
{
    if (manager->log_ops != NULL)
        OMEN_TRY(flight_reserve(manager));
    *timestamp = ++manager->last;
    return OMEN_OK;
}

void txn_publish(struct txn_manager *manager, uint64_t timestamp)
{
    OMEN_ASSERT(timestamp == manager->last);
    flight_add(manager, (struct flight){.timestamp = timestamp});
}
