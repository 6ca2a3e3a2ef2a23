/* fake_log.h - a log in memory for the commit pipeline's tests: what is appended is kept, and is
 * durable when the test says so. */
#ifndef OMEN_TESTS_FAKE_LOG_H
#define OMEN_TESTS_FAKE_LOG_H

#include <stdbool.h>

#include "os/thread.h"
#include "txn/txn.h"

struct fake_log {
    struct txn_manager *manager;
    struct mutex lock;
    struct condition changed;
    uint8_t *bytes; /* what was committed; an LSN is a position in it */
    size_t length, capacity;
    size_t committed;       /* of `length` */
    uint64_t durable;
    bool slow;              /* others run while it syncs */
    bool held;              /* a sync waits for fake_log_durable instead of syncing */
    bool failed, full;      /* for good; until cleared */
    bool append_fails;      /* the next append */
    omen_status sync_fails; /* what a sync meets that passes; until cleared (OK) */
    unsigned appends, commits, syncs;
    unsigned joined;        /* threads that have come to wait, in all */
    uint64_t *ends;         /* of the commits, in order */
};

/* Makes it the manager's log. */
void fake_log_open(struct fake_log *log, struct txn_manager *manager);
void fake_log_close(struct fake_log *log); /* takes it away from the manager too */

/* Durable up to here; lets go whoever waits for that. */
void fake_log_durable(struct fake_log *log, uint64_t lsn);

/* Fails for good: whoever waits is told. */
void fake_log_fail(struct fake_log *log);

/* Returns once `count` threads in all have come to wait for a sync. */
void fake_log_await(struct fake_log *log, unsigned count);

/* Returns once sync has been called `count` times in all. */
void fake_log_await_syncs(struct fake_log *log, unsigned count);

/* Where the commit ends that is the `after`th of those not durable yet, or the last of them; 0: there
 * is none. */
uint64_t fake_log_end(struct fake_log *log, unsigned after);

#endif
