/* activity.c - see activity.h. */
#include "store/activity.h"

#include <stdlib.h>

#include "base/assert.h"

void activity_list_init(struct activity_list *list)
{
    *list = (struct activity_list){.first = NULL};
    mutex_init(&list->lock);
}

void activity_list_destroy(struct activity_list *list)
{
    OMEN_ASSERT(list->first == NULL);
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
    if (activity->previous != NULL)
        activity->previous->next = activity->next;
    else
        list->first = activity->next;
    if (activity->next != NULL)
        activity->next->previous = activity->previous;
    list->count--;
    mutex_unlock(&list->lock);
}

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
