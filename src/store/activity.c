/* activity.c - see activity.h. */
#include "store/activity.h"

#include <stdlib.h>

#include "base/assert.h"

void activity_list_init(struct activity_list *list)
{
    *list = (struct activity_list){.first = NULL};
    mutex_init(&list->lock);
    condition_init(&list->ended);
}

void activity_list_destroy(struct activity_list *list)
{
    OMEN_ASSERT(list->first == NULL);
    condition_destroy(&list->ended);
    mutex_destroy(&list->lock);
}

void activity_add(struct activity_list *list, struct activity *activity)
{
    mutex_lock(&list->lock);
    activity->previous = NULL;
    activity->next = list->first;
    if (list->first != NULL)
        list->first->previous = activity;
    list->first = activity;
    list->count++;
    mutex_unlock(&list->lock);
}

void activity_remove(struct activity_list *list, struct activity *activity)
{
    mutex_lock(&list->lock);
    while (activity->ending)
        condition_wait(&list->ended, &list->lock);
    if (activity->previous != NULL)
        activity->previous->next = activity->next;
    else
        list->first = activity->next;
    if (activity->next != NULL)
        activity->next->previous = activity->previous;
    list->count--;
    mutex_unlock(&list->lock);
}

/* --- rest --- */

/* Makes `earliest_ns` no later than this. Sequentially consistent, as are the others of it and of
 * rests_until: who stores a rest and then finds an earlier time here is seen by whoever takes that
 * time away and then looks at the rests. */
static void expect_end(struct activity_list *list, uint64_t until_ns)
{
    uint64_t earliest = atomic_load(&list->earliest_ns);
    while ((earliest == 0 || until_ns < earliest) &&
           !atomic_compare_exchange_weak(&list->earliest_ns, &earliest, until_ns))
        ;
}

void activity_rest(struct activity_list *list, struct activity *activity, uint64_t until_ns)
{
    atomic_store(&activity->rests_until, until_ns);
    expect_end(list, until_ns);
}

uint64_t activity_take_back(struct activity_list *list, struct activity *activity)
{
    uint64_t until_ns = atomic_exchange(&activity->rests_until, 0);
    if (until_ns != 0)
        return until_ns;
    mutex_lock(&list->lock);
    while (activity->ending)
        condition_wait(&list->ended, &list->lock);
    mutex_unlock(&list->lock);
    return 0;
}

/* Takes the transactions whose rest is over; gives the first of them. The lock is held. */
static struct activity *take_overdue(struct activity_list *list, uint64_t now_ns)
{
    struct activity *taken = NULL;
    atomic_store(&list->earliest_ns, 0);
    for (struct activity *at = list->first; at != NULL; at = at->next) {
        uint64_t until_ns = atomic_load(&at->rests_until);
        if (until_ns > now_ns)
            expect_end(list, until_ns);
        /* Where it fails the session has gone on; it says so itself when it rests again. */
        if (until_ns == 0 || until_ns > now_ns ||
            !atomic_compare_exchange_strong(&at->rests_until, &until_ns, 0))
            continue;
        at->ending = true;
        at->ending_next = taken;
        taken = at;
    }
    return taken;
}

void activity_list_end_overdue(struct activity_list *list, const struct os *os)
{
    /* Relaxed: who comes too early for an end finds it the next time. */
    uint64_t earliest = atomic_load_explicit(&list->earliest_ns, memory_order_relaxed);
    if (earliest == 0)
        return;
    uint64_t now_ns = os->monotonic_ns(os);
    if (now_ns < earliest)
        return;
    mutex_lock(&list->lock);
    struct activity *taken = take_overdue(list, now_ns);
    while (taken != NULL) {
        struct activity *ended = taken;
        taken = ended->ending_next;
        mutex_unlock(&list->lock);
        ended->end(ended);
        mutex_lock(&list->lock);
        ended->ending = false; /* from here on it may be gone */
        condition_wake_all(&list->ended);
    }
    mutex_unlock(&list->lock);
}

/* --- looking at them --- */

static struct activity_info look_at(struct activity *activity)
{
    /* The state first: acquire, see activity.h. */
    unsigned state = atomic_load_explicit(&activity->state, memory_order_acquire);
    return (struct activity_info){
        .transaction = activity->transaction,
        .state = (enum activity_state)state,
        .read_only = atomic_load_explicit(&activity->read_only, memory_order_relaxed),
        .isolation = atomic_load_explicit(&activity->isolation, memory_order_relaxed),
        .began_us = atomic_load_explicit(&activity->began_us, memory_order_relaxed),
        .snapshot = atomic_load_explicit(&activity->snapshot, memory_order_relaxed),
        .rows_written = atomic_load_explicit(&activity->rows_written, memory_order_relaxed),
    };
}

static int compare_transactions(const void *left, const void *right)
{
    const struct activity_info *one = left, *other = right;
    return (one->transaction > other->transaction) - (one->transaction < other->transaction);
}

omen_status activity_list_take(struct activity_list *list, struct allocator *allocator,
                               struct activity_info **out, size_t *count)
{
    *count = 0;
    mutex_lock(&list->lock);
    *out = allocator_alloc(allocator, list->count * sizeof **out);
    if (*out == NULL && list->count > 0) {
        mutex_unlock(&list->lock);
        return OMEN_OUT_OF_MEMORY;
    }
    for (struct activity *at = list->first; at != NULL; at = at->next)
        (*out)[(*count)++] = look_at(at);
    mutex_unlock(&list->lock);
    if (*count > 0)
        qsort(*out, *count, sizeof **out, compare_transactions);
    return OMEN_OK;
}
