/* checker.h - whether a history is one that READ COMMITTED and REPEATABLE READ allow.
 *
 * From the lists that were read follows, key by key, the order in which versions came; from the
 * registers their versions' numbers. What a read saw, whose write it was and what came next are then
 * facts about moments: of each commit, of the snapshot of each REPEATABLE READ transaction, of that of
 * each READ COMMITTED statement.
 *
 *   ww  a commit --> the snapshot (or commit) of who wrote the next version
 *   wr  a commit --> the snapshot that saw it
 *   rw  a snapshot that did not see a version --> the commit of who wrote it
 *   po  snapshots of one transaction in their order, and its commit last
 *
 * If and only if these arrows can be followed in a circle, no order of moments explains the history:
 * that is an anomaly, and its name follows from the arrows of the smallest circle. Write skew is no
 * such circle: it is one of whole transactions, counted among those of REPEATABLE READ and allowed.
 *
 * Source: Adya, Liskov, O'Neil, Generalized Isolation Level Definitions (2000); the idea of inferring
 * orders from lists is Elle's (Kingsbury, Alvaro 2020); moments instead of transactions, so that levels
 * can be mixed, as in Crooks et al., Seeing is Believing (2017).
 */
#ifndef OMEN_TESTS_CHECKER_H
#define OMEN_TESTS_CHECKER_H

#include "history.h"

/* X(name, text) */
#define ANOMALIES(X)                                                                               \
    X(G0, "G0, write cycle")                                                                       \
    X(G1A, "G1a, aborted read: a value whose write was taken back")                                \
    X(G1B, "G1b, intermediate read: a value that its writer overwrote")                            \
    X(G1C, "G1c, circular information flow")                                                       \
    X(G_SINGLE, "G-single, read skew")                                                             \
    X(LOST_UPDATE, "lost update")                                                                  \
    X(LONG_FORK, "long fork: two see two writes in different order")                               \
    X(DIRTY_READ, "dirty read: a value before its COMMIT was asked for")                           \
    X(STALE_READ, "stale read: not a value committed before the snapshot")                         \
    X(LOST_WRITE, "lost write: committed, and gone")                                               \
    X(HALF_COMMIT, "half a transaction: some of its writes are there")                             \
    X(OWN_WRITE_MISSED, "own write missed")                                                        \
    X(UNDONE_SEEN, "own write seen after it was taken back")                                       \
    X(UNREPEATABLE, "two reads of one snapshot differ")                                            \
    X(ORDER, "two reads disagree about the order of writes")                                       \
    X(REPEATED, "one write, twice there")                                                          \
    X(UNKNOWN_VALUE, "a value nobody wrote there")

enum anomaly {
#define ANOMALY_ENUM(name, text) ANOMALY_##name,
    ANOMALIES(ANOMALY_ENUM)
#undef ANOMALY_ENUM
    ANOMALY_COUNT
};

struct checker_report {
    uint64_t found[ANOMALY_COUNT];
    uint64_t total;     /* the sum of these */
    uint64_t g2_item;   /* circles of whole REPEATABLE READ transactions that are no anomaly here */
    uint64_t committed, aborted, unknown, unknown_seen, reads, writes;
};

/* What an anomaly is called, e.g. "G0, write cycle". */
const char *checker_anomaly_text(enum anomaly anomaly);

/* Checks a history. `out` (may be NULL) gets the first few anomalies of each kind, with the transactions
 * involved. Its values must be dense: memory goes with the largest. Exits without memory. */
void checker_check(const struct history *history, FILE *out, struct checker_report *report);

/* The counts, a line or two. */
void checker_print_report(const struct checker_report *report, FILE *out);

#endif
