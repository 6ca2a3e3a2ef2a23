/* txn_wait.c - commits in flight: between apply and publish.
 *
 *   appended, applied:   T5 lsn 900 | T6 - | T7 lsn 1200 | T8 lsn 1300
 *   durable up to 1000:  T5 and T6 are published, T7 and T8 wait
 *
 * Timestamps are published in order, each once the log is durable up to its end. What need not wait
 * for itself (a commit of synchronous_commit = off, a change of layout) still waits for its turn:
 * so a commit that its client is waiting for is never visible before it is durable, whoever comes
 * behind it.
 *
 * After the log has failed nothing that was in flight is ever published.
 *
 * Concurrency: `lock` of the flights guards the ring and orders the stores to `published`. A commit
 * joins after it has been applied, so whoever publishes it publishes complete stamps (release and
 * acquire of the lock). It may already be durable when it joins: another thread may have synced the
 * log meanwhile.
 */
#include "base/assert.h"
#include "base/bits.h"
#include "txn/txn_private.h"

void flights_init(struct flights *flights)
{
    *flights = (struct flights){0};
    mutex_init(&flights->lock);
}

void flights_destroy(struct flights *flights, struct allocator *allocator)
{
    allocator_free(allocator, flights->ring, flights->capacity * sizeof *flights->ring);
    mutex_destroy(&flights->lock);
}

/* --- the ring --- */

static struct flight *flight_at(struct flights *flights, size_t position)
{
    return &flights->ring[(flights->first + position) & (flights->capacity - 1)];
}

omen_status flight_reserve(struct txn_manager *manager)
{
    struct flights *flights = &manager->flights;
    omen_status status = OMEN_OK;
    mutex_lock(&flights->lock);
    if (flights->count == flights->capacity) {
        size_t capacity = flights->capacity == 0 ? 64 : flights->capacity * 2;
        struct flight *ring = allocator_alloc(manager->allocator, capacity * sizeof *ring);
        if (ring == NULL) {
            status = OMEN_OUT_OF_MEMORY;
        } else {
            for (size_t i = 0; i < flights->count; i++)
                ring[i] = *flight_at(flights, i);
            allocator_free(manager->allocator, flights->ring,
                           flights->capacity * sizeof *flights->ring);
            flights->ring = ring;
            flights->capacity = capacity;
            flights->first = 0;
        }
    }
    mutex_unlock(&flights->lock);
    return status;
}

/* Publishes from the front what need not wait any longer. The lock is held. */
static void publish_ready(struct txn_manager *manager)
{
    struct flights *flights = &manager->flights;
    uint64_t timestamp = 0;
    while (flights->count > 0 && flight_at(flights, 0)->lsn <= flights->durable) {
        timestamp = flight_at(flights, 0)->timestamp;
        flights->first++;
        flights->count--;
    }
    /* Pairs with the reads in snapshot_acquire: who sees it sees all that was stamped. */
    if (timestamp != 0)
        atomic_store(&manager->published, timestamp);
}

void flight_add(struct txn_manager *manager, struct flight flight)
{
    struct flights *flights = &manager->flights;
    if (manager->log_ops == NULL) {
        atomic_store(&manager->published, flight.timestamp); /* as in publish_ready */
        return;
    }
    mutex_lock(&flights->lock);
    OMEN_ASSERT(flights->count < flights->capacity);
    *flight_at(flights, flights->count++) = flight;
    publish_ready(manager);
    mutex_unlock(&flights->lock);
}

void txn_durable(void *context, uint64_t lsn)
{
    struct txn_manager *manager = context;
    struct flights *flights = &manager->flights;
    mutex_lock(&flights->lock);
    if (lsn > flights->durable) {
        flights->durable = lsn;
        publish_ready(manager);
    }
    mutex_unlock(&flights->lock);
}

/* --- waiting --- */

struct txn_ticket txn_newest(const struct txn_manager *manager)
{
    bool published = atomic_load(&manager->published) == manager->last;
    return (struct txn_ticket){.timestamp = manager->last,
                               .lsn = published ? 0 : manager->last_lsn};
}

static omen_status sync_log(struct txn_manager *manager, const struct txn_ticket *ticket,
                            omen_error *error)
{
    OMEN_TRY(manager->log_ops->sync(manager->log, ticket->lsn, error));
    /* The log tells this too, but perhaps not before it lets everybody go. */
    if (atomic_load(&manager->published) < ticket->timestamp)
        txn_durable(manager, ticket->lsn);
    return OMEN_OK;
}

omen_status txn_wait(struct txn_manager *manager, const struct txn_ticket *ticket,
                     omen_error *error)
{
    if (ticket->lsn == 0)
        return OMEN_OK;
    omen_error failure = {.status = OMEN_OK};
    if (sync_log(manager, ticket, &failure) == OMEN_OK)
        return OMEN_OK;
    const char *yet = failure.status == OMEN_COMMIT_UNKNOWN ? "" : " yet"; /* or gone for good */
    return error_set(error, OMEN_COMMIT_UNKNOWN, "commit outcome unknown%s: %.400s", yet,
                     failure.message);
}

omen_status txn_settle(struct txn_manager *manager, const struct txn_ticket *ticket,
                       omen_error *error)
{
    if (ticket->lsn == 0)
        return OMEN_OK;
    omen_error failure = {.status = OMEN_OK};
    omen_status status = sync_log(manager, ticket, &failure);
    if (status == OMEN_OK)
        return OMEN_OK;
    OMEN_TRY(manager->log_ops->failure(manager->log, error));
    return error_set(error, status, "%.400s", failure.message); /* it passes */
}

omen_status txn_outcome(struct txn_manager *manager, omen_status status,
                        const struct txn_ticket *ticket, omen_error *error)
{
    if (status == OMEN_OK)
        return txn_wait(manager, ticket, error);
    OMEN_TRY(txn_settle(manager, ticket, error));
    return status;
}

/* --- setting up --- */

void txn_set_log(struct txn_manager *manager, const struct txn_log_ops *ops, void *log,
                 uint64_t durable)
{
    OMEN_ASSERT(manager->flights.count == 0 || ops == NULL);
    manager->log_ops = ops;
    manager->log = log;
    manager->last_lsn = durable;
    mutex_lock(&manager->flights.lock);
    manager->flights.durable = durable;
    mutex_unlock(&manager->flights.lock);
}

bool txn_has_log(const struct txn_manager *manager)
{
    return manager->log_ops != NULL;
}

void txn_set_time(struct txn_manager *manager, uint64_t timestamp)
{
    if (timestamp <= manager->last)
        return;
    manager->last = timestamp;
    atomic_store(&manager->published, timestamp);
}
