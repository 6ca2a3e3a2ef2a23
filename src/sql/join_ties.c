/* join_ties.c - the equalities that tie each leaf to those before it.
 *
 *   classes  {a.x, b.x, c.x}     order  b, c, a     ties  b.x = c.x, b.x = a.x
 *
 * As written it may have been a.x = b.x AND a.x = c.x: then b and c would be paired without a
 * condition. One equality a member is enough; asking for more is work for each row.
 */
#include "sql/bind_query_private.h"
#include "sql/engine_text.h"
#include "sql/join_order_private.h"

/* An equality of two members: as it was written, or a new one. */
static struct expression *make_equality(struct ordering *ordering, const struct joins *joins,
                                        struct member *left, struct member *right)
{
    for (uint32_t i = 0; i < joins->condition_count; i++) {
        const struct condition *condition = &joins->conditions[i];
        if ((condition->left == left && condition->right == right) ||
            (condition->left == right && condition->right == left))
            return condition->expression;
    }
    struct expression *equal = bind_alloc(ordering->binder, sizeof *equal, ordering->error);
    struct expression **sides = bind_alloc(ordering->binder, 2 * sizeof *sides, ordering->error);
    if (equal == NULL || sides == NULL)
        return NULL;
    *equal = (struct expression){.kind = EXPRESSION_CALL,
                                 .type = {.id = OMEN_TYPE_BOOLEAN},
                                 .location = -1,
                                 .arguments = sides,
                                 .argument_count = 2};
    sides[0] = left->column;
    sides[1] = right->column;
    if (semantics_find_operator("=", &left->column->type, &right->column->type, &equal->line,
                                ordering->error) != OMEN_OK)
        return NULL;
    return equal;
}

/* The member of the same class, in a leaf joined before or an earlier member of the same leaf, that
 * `member` is to be compared with: one that it was written beside, if any. */
static struct member *partner_of(struct joins *joins, const struct member *member, uint64_t before)
{
    struct member *found = NULL;
    for (uint32_t i = 0; i < joins->member_count; i++) {
        struct member *other = &joins->members[i];
        bool earlier =
            (before >> other->leaf & 1) != 0 || (other->leaf == member->leaf && other < member);
        if (other->class != member->class || !earlier)
            continue;
        if (found == NULL)
            found = other;
        for (uint32_t j = 0; j < joins->condition_count; j++) {
            const struct condition *condition = &joins->conditions[j];
            if ((condition->left == member && condition->right == other) ||
                (condition->right == member && condition->left == other))
                return other;
        }
    }
    return found;
}

/* Lists the equalities of the classes: each leaf's members with something before. */
static omen_status tie_classes(struct ordering *ordering, struct joins *joins,
                               const uint32_t *order, struct expression **list, uint32_t *count)
{
    uint64_t before = 0;
    for (uint32_t i = 0; i < joins->leaf_count; i++) {
        for (uint32_t j = 0; j < joins->member_count; j++) {
            struct member *member = &joins->members[j];
            struct member *partner =
                member->leaf == order[i] ? partner_of(joins, member, before) : NULL;
            if (partner == NULL)
                continue;
            list[*count] = make_equality(ordering, joins, partner, member);
            if (list[(*count)++] == NULL)
                return OMEN_OUT_OF_MEMORY;
        }
        before |= UINT64_C(1) << order[i];
    }
    return OMEN_OK;
}

static bool is_listed(const struct expression *expression, struct expression *const *list,
                      uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (list[i] == expression)
            return true;
    return false;
}

/* Equalities that follow from others may go where nothing relies on being asked behind them. */
static bool may_drop(const struct joins *joins)
{
    for (uint32_t i = 0; i < joins->condition_count; i++)
        if (text_may_fail(joins->conditions[i].expression))
            return false;
    return !joins->side;
}

/* All conditions, those as written at their places, but for equalities that follow from others.
 * What stands above an outer join stays there. */
omen_status join_list_conditions(struct ordering *ordering, struct joins *joins,
                                 const uint32_t *order, struct expression ***out,
                                 uint32_t *out_count)
{
    uint32_t ties = 0, count = 0, most = joins->condition_count + joins->member_count;
    struct expression **tied = arena_alloc(&ordering->sizes.arena, most * sizeof *tied);
    struct expression **list = bind_alloc(ordering->binder, most * sizeof *list, ordering->error);
    if (tied == NULL || list == NULL)
        return error_set_default(ordering->error, OMEN_OUT_OF_MEMORY);
    OMEN_TRY(tie_classes(ordering, joins, order, tied, &ties));
    bool drop = may_drop(joins);
    for (uint32_t i = 0; i < joins->condition_count; i++) {
        const struct condition *condition = &joins->conditions[i];
        if (condition->left == NULL || !drop || is_listed(condition->expression, tied, ties))
            list[count++] = condition->expression;
    }
    for (uint32_t i = 0; i < ties; i++)
        if (!is_listed(tied[i], list, count))
            list[count++] = tied[i];
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool above = false;
        for (uint32_t j = 0; j < joins->condition_count; j++)
            above |= joins->conditions[j].above && joins->conditions[j].expression == list[i];
        list[kept] = list[i];
        kept += !above;
    }
    *out = list;
    *out_count = kept;
    return OMEN_OK;
}
