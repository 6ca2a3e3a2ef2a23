/* own_writes_hidden.c - which of the table's rows a transaction has ended, as bits, kept from one
 * view to the next: a transaction of many changes and many small statements does not look at all of
 * its targets for each.
 *
 *   targets   [0 ... hidden_targets)  their bits are set     [... target_count)  not yet
 *   hidden    group number -> bit a slot, ascending by number
 *
 * The ids are those of the targets' newest copies. They are right as long as no row of the table
 * has got another id (table->moves); then all is made anew.
 *
 * Concurrency: the own writes' lock is held, and, where bits are added, the table's for reading.
 */
#include <string.h>

#include "base/bits.h"
#include "table/own_writes_private.h"

enum { BITS_BYTES = ROW_GROUP_ROWS / 8 };

void own_hidden_clear(struct own_writes *own)
{
    struct allocator *allocator = own->table->allocator;
    for (size_t i = 0; i < own->hidden_count; i++)
        allocator_free(allocator, own->hidden[i].bits, BITS_BYTES);
    array_release(allocator, own->hidden, own->hidden_capacity, sizeof *own->hidden, NULL);
    own->hidden = NULL;
    own->hidden_count = own->hidden_capacity = own->hidden_targets = 0;
}

/* The first place whose number is not below this one. */
static size_t place_of(const struct own_writes *own, uint64_t number)
{
    size_t low = 0, high = own->hidden_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (own->hidden[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const uint64_t *own_hidden_bits(const struct own_writes *own, uint64_t number)
{
    size_t place = place_of(own, number);
    bool found = place < own->hidden_count && own->hidden[place].number == number;
    return found ? own->hidden[place].bits : NULL;
}

/* The bits of a group, made where there are none; NULL where memory is out. */
static uint64_t *obtain_bits(struct own_writes *own, uint64_t number)
{
    struct allocator *allocator = own->table->allocator;
    size_t place = place_of(own, number);
    if (place < own->hidden_count && own->hidden[place].number == number)
        return own->hidden[place].bits;
    if (!array_reserve(allocator, (void **)&own->hidden, &own->hidden_capacity,
                       own->hidden_count + 1, sizeof *own->hidden, NULL))
        return NULL;
    uint64_t *bits = allocator_alloc_zeroed(allocator, BITS_BYTES);
    if (bits == NULL)
        return NULL;
    memmove(own->hidden + place + 1, own->hidden + place,
            (own->hidden_count - place) * sizeof *own->hidden);
    own->hidden[place] = (struct own_hidden){number, bits};
    own->hidden_count++;
    return bits;
}

omen_status own_hidden_update(struct own_writes *own, uint32_t command, bool *usable)
{
    const struct table *table = own->table;
    if (own->hidden_moves != table->moves)
        own_hidden_clear(own);
    own->hidden_moves = table->moves;
    *usable = own->hidden_targets == 0 || own->targets[own->hidden_targets - 1].command < command;
    while (*usable && own->hidden_targets < own->target_count) {
        struct own_target *target = &own->targets[own->hidden_targets];
        if (target->command >= command)
            break; /* commands only grow */
        uint64_t newest = own_target_place(table, target->row_id, target->key, target->begin);
        if (newest != ROW_ID_NONE) {
            uint64_t *bits = obtain_bits(own, row_id_group(newest));
            if (bits == NULL)
                return OMEN_OUT_OF_MEMORY;
            bit_set(bits, row_id_slot(newest));
            target->row_id = newest;
        }
        own->hidden_targets++;
    }
    return OMEN_OK;
}

void own_hidden_undo(struct own_writes *own, size_t number)
{
    if (number >= own->hidden_targets)
        return;
    uint64_t row_id = own->targets[number].row_id;
    size_t place = place_of(own, row_id_group(row_id));
    if (place < own->hidden_count && own->hidden[place].number == row_id_group(row_id))
        bit_clear(own->hidden[place].bits, row_id_slot(row_id));
    own->hidden_targets = number;
}
