/* checker_graph.c - moments, the arrows between them, and the circles they must not make.
 *
 *   REPEATABLE READ:  [snapshot] ---------------------> [commit]
 *   READ COMMITTED:   [statement 0] -> [statement 1] -> [commit]
 *
 * Circles are found as strongly connected components (Tarjan 1972, without recursion). In each the
 * smallest circle is looked for, breadth first, and named by its arrows.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "checker_private.h"

enum arrow { PO, WW, WR, RW };

enum { STARTS_MAX = 256, PATH_MAX_NODES = 64, CIRCLES_MAX = 1000 };

struct edge {
    uint32_t from, to, key;
    uint8_t arrow;
};

struct graph {
    struct checker *checker;
    bool whole; /* a node a transaction, of REPEATABLE READ alone */
    uint32_t nodes;
    uint32_t *first;  /* by transaction: its first node */
    uint32_t *owners; /* by node: its transaction */
    struct edge *edges;
    size_t edge_count, edge_max;
    uint32_t *starts, *sorted; /* edges by where they begin */
    uint32_t *components;      /* by node, from 1 */
    uint32_t *sizes;           /* by component */
};

/* --- nodes --- */

static uint32_t statements_of(const struct graph *graph, uint32_t transaction)
{
    const struct history_transaction *t = &graph->checker->history->transactions[transaction];
    if (graph->whole)
        return 0;
    if (t->level == HISTORY_RR || t->count == 0)
        return 1;
    return graph->checker->history->ops[t->first + t->count - 1].statement + 1u;
}

/* The moment of a transaction's commit. */
static uint32_t commit_of(const struct graph *graph, uint32_t transaction)
{
    return graph->first[transaction] + statements_of(graph, transaction);
}

/* The moment whose state an op reads. */
static uint32_t snapshot_of(const struct graph *graph, uint32_t op)
{
    uint32_t transaction = graph->checker->op_transactions[op];
    bool own = !graph->whole && graph->checker->history->transactions[transaction].level == HISTORY_RC;
    return graph->first[transaction] + (own ? graph->checker->history->ops[op].statement : 0);
}

static bool counts(const struct graph *graph, uint32_t transaction)
{
    return !graph->whole || (graph->checker->lives[transaction] &&
                             graph->checker->history->transactions[transaction].level == HISTORY_RR);
}

static void add_edge(struct graph *graph, uint32_t from, uint32_t to, enum arrow arrow, uint32_t key)
{
    if (from == to || !counts(graph, graph->owners[from]) || !counts(graph, graph->owners[to]))
        return;
    if (graph->edge_count == graph->edge_max) {
        graph->edge_max = graph->edge_max * 2 + 1024;
        graph->edges = realloc(graph->edges, graph->edge_max * sizeof *graph->edges);
        if (graph->edges == NULL) {
            fprintf(stderr, "checker: out of memory\n");
            exit(2);
        }
    }
    graph->edges[graph->edge_count++] =
        (struct edge){.from = from, .to = to, .key = key, .arrow = (uint8_t)arrow};
}

static void make_nodes(struct graph *graph)
{
    size_t count = graph->checker->history->count;
    graph->first = checker_memory(count, sizeof *graph->first);
    for (uint32_t t = 0; t < count; t++) {
        graph->first[t] = graph->nodes;
        graph->nodes += statements_of(graph, t) + 1;
    }
    graph->owners = checker_memory(graph->nodes, sizeof *graph->owners);
    for (uint32_t t = 0; t < count; t++)
        for (uint32_t node = graph->first[t]; node <= commit_of(graph, t); node++)
            graph->owners[node] = t;
    for (uint32_t t = 0; t < count; t++)
        for (uint32_t node = graph->first[t]; node < commit_of(graph, t); node++)
            add_edge(graph, node, node + 1, PO, 0);
}

/* --- arrows --- */

/* From who wrote each version to who wrote the next. */
static void make_write_edges(struct graph *graph)
{
    struct checker *checker = graph->checker;
    for (uint32_t key = 0; key < checker->keys; key++) {
        const uint32_t *order = checker->order + checker->orders[key].first;
        for (uint32_t i = 1; i < checker->orders[key].count; i++) {
            uint32_t a = checker->writers[order[i - 1]].transaction;
            struct writer b = checker->writers[order[i]];
            bool snapshot = checker->history->transactions[b.transaction].level == HISTORY_RR;
            if (a != b.transaction)
                add_edge(graph, commit_of(graph, a),
                         snapshot ? snapshot_of(graph, b.op) : commit_of(graph, b.transaction), WW, key);
        }
    }
}

static void make_read_edges(struct graph *graph)
{
    struct checker *checker = graph->checker;
    for (uint32_t i = 0; i < checker->history->op_count; i++) {
        const struct history_op *op = &checker->history->ops[i];
        if (!is_read(op) || checker->external[i] == NOTHING)
            continue;
        uint32_t key = key_of(op), position = checker->external[i], reader = checker->op_transactions[i];
        const struct key_order *order = &checker->orders[key];
        if (position > order->count)
            continue;
        if (position > 0) {
            uint32_t by = checker->writers[checker->order[order->first + position - 1]].transaction;
            if (by != reader)
                add_edge(graph, commit_of(graph, by), snapshot_of(graph, i), WR, key);
        }
        if (position < order->count) {
            uint32_t next = checker->writers[checker->order[order->first + position]].transaction;
            if (next != reader)
                add_edge(graph, snapshot_of(graph, i), commit_of(graph, next), RW, key);
        }
    }
}

static void sort_edges(struct graph *graph)
{
    graph->starts = checker_memory(graph->nodes + 1, sizeof *graph->starts);
    graph->sorted = checker_memory(graph->edge_count, sizeof *graph->sorted);
    for (size_t i = 0; i < graph->edge_count; i++)
        graph->starts[graph->edges[i].from + 1]++;
    for (uint32_t node = 0; node < graph->nodes; node++)
        graph->starts[node + 1] += graph->starts[node];
    uint32_t *at = checker_memory(graph->nodes, sizeof *at);
    for (size_t i = 0; i < graph->edge_count; i++) {
        uint32_t from = graph->edges[i].from;
        graph->sorted[graph->starts[from] + at[from]++] = (uint32_t)i;
    }
    free(at);
}

/* --- components --- */

struct tarjan {
    uint32_t *numbers, *lows, *stack, *calls, *next;
    uint32_t number, depth, call_depth, components;
};

static void enter(struct graph *graph, struct tarjan *tarjan, uint32_t node)
{
    tarjan->numbers[node] = tarjan->lows[node] = ++tarjan->number;
    tarjan->stack[tarjan->depth++] = node;
    tarjan->calls[tarjan->call_depth++] = node;
    tarjan->next[node] = graph->starts[node];
}

static void leave(struct graph *graph, struct tarjan *tarjan, uint32_t node)
{
    tarjan->call_depth--;
    if (tarjan->call_depth > 0) {
        uint32_t caller = tarjan->calls[tarjan->call_depth - 1];
        if (tarjan->lows[node] < tarjan->lows[caller])
            tarjan->lows[caller] = tarjan->lows[node];
    }
    if (tarjan->lows[node] != tarjan->numbers[node])
        return;
    tarjan->components++;
    uint32_t member;
    do {
        member = tarjan->stack[--tarjan->depth];
        graph->components[member] = tarjan->components;
        graph->sizes[tarjan->components]++;
    } while (member != node);
}

static void walk(struct graph *graph, struct tarjan *tarjan, uint32_t root)
{
    enter(graph, tarjan, root);
    while (tarjan->call_depth > 0) {
        uint32_t node = tarjan->calls[tarjan->call_depth - 1];
        if (tarjan->next[node] == graph->starts[node + 1]) {
            leave(graph, tarjan, node);
            continue;
        }
        uint32_t to = graph->edges[graph->sorted[tarjan->next[node]++]].to;
        if (tarjan->numbers[to] == 0)
            enter(graph, tarjan, to);
        else if (graph->components[to] == 0 && tarjan->numbers[to] < tarjan->lows[node])
            tarjan->lows[node] = tarjan->numbers[to];
    }
}

/* How many components there are. */
static uint32_t find_components(struct graph *graph)
{
    struct tarjan tarjan = {.number = 0};
    uint32_t **arrays[] = {&tarjan.numbers, &tarjan.lows, &tarjan.stack, &tarjan.calls, &tarjan.next};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        *arrays[i] = checker_memory(graph->nodes, sizeof **arrays[i]);
    graph->components = checker_memory(graph->nodes, sizeof *graph->components);
    graph->sizes = checker_memory(graph->nodes + 1, sizeof *graph->sizes);
    for (uint32_t node = 0; node < graph->nodes; node++)
        if (tarjan.numbers[node] == 0)
            walk(graph, &tarjan, node);
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(*arrays[i]);
    return tarjan.components;
}

/* --- circles --- */

struct circle {
    uint32_t length;
    uint32_t edges[PATH_MAX_NODES];
};

struct search {
    uint32_t *queue, *stamps, *edges, *depths; /* by node: visited in this search, and how */
    uint32_t stamp;
};

/* The shortest circle through `start`, if it is shorter than the best so far. */
static void search_from(struct graph *graph, struct search *search, uint32_t start, struct circle *best)
{
    uint32_t head = 0, tail = 0, stamp = ++search->stamp;
    search->queue[tail++] = start;
    search->stamps[start] = stamp;
    search->depths[start] = 0;
    while (head < tail) {
        uint32_t node = search->queue[head++];
        if (search->depths[node] + 1 >= best->length)
            return;
        for (uint32_t i = graph->starts[node]; i < graph->starts[node + 1]; i++) {
            uint32_t edge = graph->sorted[i], to = graph->edges[edge].to;
            if (to == start) {
                best->length = search->depths[node] + 1;
                best->edges[best->length - 1] = edge;
                for (uint32_t at = node, n = best->length - 1; n-- > 0; at = graph->edges[search->edges[at]].from)
                    best->edges[n] = search->edges[at];
                return;
            }
            if (graph->components[to] != graph->components[start] || search->stamps[to] == stamp)
                continue;
            search->stamps[to] = stamp;
            search->edges[to] = edge;
            search->depths[to] = search->depths[node] + 1;
            search->queue[tail++] = to;
        }
    }
}

static bool writes(const struct checker *checker, uint32_t transaction, uint32_t key)
{
    const struct history_transaction *t = &checker->history->transactions[transaction];
    for (uint32_t i = t->first; i < t->first + t->count; i++)
        if (is_write(&checker->history->ops[i]) && checker->last[i] && key_of(&checker->history->ops[i]) == key)
            return true;
    return false;
}

static enum anomaly name_of(const struct graph *graph, const struct circle *circle)
{
    uint32_t of[RW + 1] = {0};
    bool update = false;
    for (uint32_t i = 0; i < circle->length; i++) {
        const struct edge *edge = &graph->edges[circle->edges[i]];
        of[edge->arrow]++;
        if (edge->arrow == RW)
            update = writes(graph->checker, graph->owners[edge->from], edge->key);
    }
    if (of[RW] == 0)
        return of[WR] == 0 ? ANOMALY_G0 : ANOMALY_G1C;
    if (of[RW] > 1)
        return ANOMALY_LONG_FORK;
    return update && of[WR] == 0 ? ANOMALY_LOST_UPDATE : ANOMALY_G_SINGLE;
}

static void show_circle(const struct graph *graph, const struct circle *circle)
{
    static const char *const arrows[] = {"then", "ww", "wr", "rw"};
    const struct checker *checker = graph->checker;
    fprintf(checker->out, "  ");
    for (uint32_t i = 0; i < circle->length; i++) {
        const struct edge *edge = &graph->edges[circle->edges[i]];
        uint32_t owner = graph->owners[edge->from];
        bool commit = edge->from == commit_of(graph, owner);
        fprintf(checker->out, "T%" PRIu32 "'s %s --%s", owner, commit ? "commit" : "snapshot",
                arrows[edge->arrow]);
        if (edge->arrow != PO)
            fprintf(checker->out, " %s %" PRIu32, edge->key % 2 ? "register" : "list", edge->key / 2);
        fprintf(checker->out, "--> ");
    }
    fprintf(checker->out, "again\n");
    uint32_t shown = NOTHING;
    for (uint32_t i = 0; i < circle->length; i++) {
        uint32_t owner = graph->owners[graph->edges[circle->edges[i]].from];
        if (owner != shown)
            checker_show(checker, owner);
        shown = owner;
    }
}

/* Names the smallest circle of each component. */
static void tell_circles(struct graph *graph, uint32_t components)
{
    struct search search = {.stamp = 0};
    uint32_t **arrays[] = {&search.queue, &search.stamps, &search.edges, &search.depths};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        *arrays[i] = checker_memory(graph->nodes, sizeof **arrays[i]);
    uint32_t *tried = checker_memory(components + 1, sizeof *tried);
    struct circle *best = checker_memory(CIRCLES_MAX, sizeof *best);
    uint32_t *slots = checker_memory(components + 1, sizeof *slots), used = 0;
    for (uint32_t node = 0; node < graph->nodes; node++) {
        uint32_t component = graph->components[node];
        if (graph->sizes[component] < 2 || tried[component] >= STARTS_MAX)
            continue;
        if (tried[component]++ == 0) {
            if (used == CIRCLES_MAX)
                continue;
            slots[component] = ++used;
            best[used - 1].length = PATH_MAX_NODES;
        }
        if (slots[component] != 0)
            search_from(graph, &search, node, &best[slots[component] - 1]);
    }
    for (uint32_t i = 0; i < used; i++) {
        bool found = best[i].length < PATH_MAX_NODES; /* a longer one has no name */
        if (checker_found(graph->checker, found ? name_of(graph, &best[i]) : ANOMALY_G_SINGLE) && found)
            show_circle(graph, &best[i]);
    }
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(*arrays[i]);
    free(tried);
    free(best);
    free(slots);
}

/* Builds the graph; gives how many components have more than one node. */
static uint32_t build(struct graph *graph, uint32_t *components)
{
    make_nodes(graph);
    make_write_edges(graph);
    make_read_edges(graph);
    sort_edges(graph);
    *components = find_components(graph);
    uint32_t circles = 0;
    for (uint32_t i = 1; i <= *components; i++)
        circles += graph->sizes[i] > 1;
    return circles;
}

static void destroy(struct graph *graph)
{
    void *const memory[] = {graph->first, graph->owners, graph->edges, graph->starts, graph->sorted,
        graph->components, graph->sizes};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        free(memory[i]);
}

void checker_find_circles(struct checker *checker)
{
    uint32_t components;
    struct graph moments = {.checker = checker};
    if (build(&moments, &components) > 0)
        tell_circles(&moments, components);
    destroy(&moments);
    struct graph whole = {.checker = checker, .whole = true};
    checker->report->g2_item = build(&whole, &components);
    destroy(&whole);
}
