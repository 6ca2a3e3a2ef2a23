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
 * Waiting. One of those who wait leads: it syncs the log for all, and then another does, for those
 * who came meanwhile. All others sleep beside their flights, those of one sync at one place, and
 * are woken once, when they are published. Why nobody is missed: docs/CONCURRENCY.md.
 *
 * Concurrency: `lock` of the flights guards the ring and orders the stores to `published`. A commit
 * joins after it has been applied, so whoever publishes it publishes complete stamps (release and
 * acquire of the lock). It may already be durable when it joins: another thread may have synced the
 * log meanwhile.
 */
#include "base/assert.h"
#include "base/bits.h"
#include "txn/txn_private.h"

/* Whose log this thread syncs for others. */
static _Thread_local const struct txn_manager *leading;

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

/* The flight of that timestamp, or NULL where it is published. The lock is held. */
static struct flight *flight_find(struct flights *flights, uint64_t timestamp)
{
    for (size_t i = flights->count; i-- > 0;) {
        struct flight *flight = flight_at(flights, i);
        if (flight->timestamp <= timestamp)
            return flight->timestamp == timestamp ? flight : NULL;
    }
    return NULL;
}

/* --- publishing --- */

/* Lets those go who have landed. No lock is held. */
static void let_go(struct flights *flights, struct flight_waiter *waiter)
{
    bool sleeping[FLIGHT_PLACES] = {false};
    while (waiter != NULL) {
        struct flight_waiter *next = waiter->next;
        /* Release pairs with the acquires in await. From here on the waiter may be gone. */
        uint32_t state =
            atomic_exchange_explicit(&waiter->state, FLIGHT_LANDED, memory_order_acq_rel);
        if (state >= FLIGHT_ASLEEP)
            sleeping[state - FLIGHT_ASLEEP] = true;
        waiter = next;
    }
    for (int i = 0; i < FLIGHT_PLACES; i++) {
        if (!sleeping[i])
            continue;
        atomic_fetch_add(&flights->places[i], 1);
        word_wake_all(&flights->places[i]);
    }
}

/* Publishes from the front what need not wait any longer; those who waited for it have landed. The
 * lock is held. */
static void publish_ready(struct txn_manager *manager)
{
    struct flights *flights = &manager->flights;
    uint64_t timestamp = 0;
    while (flights->count > 0 && flight_at(flights, 0)->lsn <= flights->durable) {
        struct flight *flight = flight_at(flights, 0);
        timestamp = flight->timestamp;
        if (flight->waiter != NULL) {
            flight->waiter->next = flights->landed;
            flights->landed = flight->waiter;
        }
        flights->first++;
        flights->count--;
    }
    /* Pairs with the reads in snapshot_acquire: who sees it sees all that was stamped. */
    if (timestamp != 0)
        atomic_store(&manager->published, timestamp);
}

static struct flight_waiter *take_landed(struct flights *flights)
{
    struct flight_waiter *landed = flights->landed;
    flights->landed = NULL;
    return landed;
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
    struct flight_waiter *landed = NULL;
    mutex_lock(&flights->lock);
    if (lsn > flights->durable) {
        flights->durable = lsn;
        publish_ready(manager);
    }
    if (leading != manager)
        landed = take_landed(flights);
    mutex_unlock(&flights->lock);
    let_go(flights, landed);
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

/* Wakes one of those who wait still, to lead: whoever has slept longest where the first of them
 * does, unless one that is awake is quicker. A landed one that is woken in its place does not
 * matter: then let_go is about to wake all that sleep there. The lock is held, nobody leads. */
static void find_leader(struct flights *flights)
{
    for (size_t i = 0; i < flights->count; i++) {
        const struct flight_waiter *waiter = flight_at(flights, i)->waiter;
        if (waiter == NULL)
            continue;
        /* After `led` was cleared; await stores and loads the other way round. */
        uint32_t state = atomic_load(&waiter->state);
        if (state >= FLIGHT_ASLEEP) {
            atomic_fetch_add(&flights->places[state - FLIGHT_ASLEEP], 1);
            word_wake_one(&flights->places[state - FLIGHT_ASLEEP]);
        }
        return;
    }
}

/* Syncs the log for all who wait. Whether that went well or not, one of those who came meanwhile is
 * then to do the same: it is woken first, so that the disk does not wait for all the others. */
static omen_status lead(struct txn_manager *manager, const struct txn_ticket *ticket,
                        omen_error *error)
{
    struct flights *flights = &manager->flights;
    leading = manager;
    omen_status status = sync_log(manager, ticket, error);
    leading = NULL;
    mutex_lock(&flights->lock);
    struct flight_waiter *landed = take_landed(flights);
    atomic_store(&flights->led, false);
    find_leader(flights);
    mutex_unlock(&flights->lock);
    let_go(flights, landed);
    return status;
}

/* Leaves the ring to lead, if nobody does and the flight is not published. */
static bool claim(struct flights *flights, uint64_t timestamp)
{
    mutex_lock(&flights->lock);
    struct flight *flight = flight_find(flights, timestamp);
    bool claimed = flight != NULL && !atomic_load(&flights->led);
    if (claimed) {
        flight->waiter = NULL;
        atomic_store(&flights->led, true);
    }
    mutex_unlock(&flights->lock);
    return claimed;
}

/* Sleeps at `place` until the flight has landed; false: it is to lead. */
static bool await(struct flights *flights, struct flight_waiter *waiter, uint64_t timestamp,
                  uint32_t place)
{
    _Atomic uint32_t *word = &flights->places[place];
    uint32_t seen = atomic_load(word), state = FLIGHT_UP;
    /* Whoever lets it go finds it asleep, and then changes the word from what was seen. */
    if (!atomic_compare_exchange_strong(&waiter->state, &state, FLIGHT_ASLEEP + place))
        return true;
    for (;;) {
        if (!atomic_load(&flights->led) && claim(flights, timestamp))
            return false;
        word_wait(word, seen, WAIT_FOREVER);
        seen = atomic_load(word);
        if (atomic_load(&waiter->state) == FLIGHT_LANDED)
            return true;
    }
}

/* Waits until the flight is published, or leads. */
static omen_status land(struct txn_manager *manager, const struct txn_ticket *ticket,
                        omen_error *error)
{
    struct flights *flights = &manager->flights;
    struct flight_waiter waiter = {.state = FLIGHT_UP};
    mutex_lock(&flights->lock);
    bool published = atomic_load(&manager->published) >= ticket->timestamp;
    bool leads = !published && !atomic_load(&flights->led), waits = false;
    if (leads) {
        atomic_store(&flights->led, true);
    } else if (!published) {
        struct flight *flight = flight_find(flights, ticket->timestamp);
        waits = flight != NULL && flight->waiter == NULL;
        if (waits)
            flight->waiter = &waiter;
    }
    mutex_unlock(&flights->lock);
    if (published)
        return OMEN_OK;
    uint64_t sync = manager->log_ops->join(manager->log, ticket->lsn);
    if (waits && await(flights, &waiter, ticket->timestamp, (uint32_t)(sync % FLIGHT_PLACES)))
        return OMEN_OK;
    return waits || leads ? lead(manager, ticket, error) : sync_log(manager, ticket, error);
}

omen_status txn_wait(struct txn_manager *manager, const struct txn_ticket *ticket,
                     omen_error *error)
{
    if (ticket->lsn == 0)
        return OMEN_OK;
    omen_error failure = {.status = OMEN_OK};
    if (land(manager, ticket, &failure) == OMEN_OK)
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
    (void)manager->log_ops->join(manager->log, ticket->lsn);
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
