/* test_checker.c - the checker against histories written by hand: every anomaly is found and called
 * by its name, and what the levels allow is not one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "checker.h"

enum { LINE_BYTES = 256, SMALL = 4096 };
#define CLEAN ANOMALY_COUNT

struct example {
    const char *what, *lines;
    enum anomaly wanted;
};

/* Lines end with |. Where only the outcome matters the times are 0. */
static const struct example examples[] = {
    {"nothing", "", CLEAN},
    {"one after the other", "rr committed 1 2 3: l1=; a1=1; l1=1|rc committed 4 5 6: l1=1; a1=2|"
     "rr committed 7 8 9: l1=1,2|", CLEAN},
    {"write skew is allowed", "rr committed 0 0 0: l1= l2=; a1=1|rr committed 0 0 0: l1= l2=; a2=2|"
     "rc committed 0 0 0: l1=1 l2=2|", CLEAN},
    {"read committed may see two moments", "rc committed 0 0 0: l1=; l2=2|rc committed 0 0 0: a1=1; a2=2|"
     "rc committed 0 0 0: l1=1 l2=2|", CLEAN},
    {"read committed may lose an update", "rc committed 0 0 0: r1=0@0; w1=1; r1=1@2|"
     "rc committed 0 0 0: r1=0@0; w1=2; r1=2@1|rc committed 0 0 0: r1=1@2|", CLEAN},
    {"a savepoint is rolled back", "rr committed 0 0 0: a1=1; a1=2; l1=1,2; undo1; l1=1; a1=3; l1=1,3|"
     "rr committed 0 0 0: l1=1,3|", CLEAN},
    {"a lock goes with the savepoint", "rc committed 0 0 0: a1=1; l1=1; undo0; l1=; l1=2; a1=3; l1=2,3|"
     "rc committed 0 0 0: a1=2|", CLEAN},
    {"an aborted transaction sees its own writes", "rr aborted 0 0 0: a1=1; l1=1; w1=2; r1=2@1|"
     "rr committed 0 0 0: l1= r1=0@0|", CLEAN},
    {"unknown and seen", "rr unknown 1 2 3: a1=1; a2=2|rr committed 4 5 6: l1=1 l2=2|", CLEAN},
    {"unknown and not seen", "rr unknown 1 2 3: a1=1; a2=2|rr committed 4 5 6: l1= l2=|", CLEAN},
    {"unknown, and nobody looked at the rest", "rr unknown 1 2 3: a1=1; a2=2|rr committed 4 5 6: l1=1|", CLEAN},
    {"begun before the commit was answered", "rr committed 1 2 9: a1=1|rr committed 5 6 7: l1=|"
     "rr committed 8 9 10: l1=1|", CLEAN},
    {"read before the commit was answered, in a transaction that ended later", "rr committed 3 4 5: a1=1|"
     "rc committed 1 8 9: @1-2 l1=; @6-7 l1=1|", CLEAN},
    {"versions that nobody read", "rr committed 0 0 0: w1=1|rr committed 0 0 0: r1=1@1; w1=2|"
     "rr committed 0 0 0: w1=3; r1=3@5|", CLEAN},

    {"G0 in lists", "rc committed 0 0 0: a1=1; a2=2|rc committed 0 0 0: a1=3; a2=4|"
     "rc committed 0 0 0: l1=1,3 l2=4,2|", ANOMALY_G0},
    {"G0 in one list", "rc committed 0 0 0: a1=1; a1=2|rc committed 0 0 0: a1=3|"
     "rc committed 0 0 0: l1=1,3,2|", ANOMALY_G0},
    {"G0 in registers", "rr committed 0 0 0: w1=1; r1=1@1; w2=2; r2=2@2|"
     "rr committed 0 0 0: w1=3; r1=3@2; w2=4; r2=4@1|", ANOMALY_G0},
    {"G1a in a list", "rc aborted 0 0 0: a1=1|rc committed 0 0 0: l1=1|", ANOMALY_G1A},
    {"G1a in a register", "rc aborted 0 0 0: w1=1|rr aborted 0 0 0: r1=1@1|", ANOMALY_G1A},
    {"G1a, killed before it committed", "rc running 0 0 0: a1=1|rc committed 0 0 0: l1=1|", ANOMALY_G1A},
    {"G1a, taken back to a savepoint", "rc committed 0 0 0: a1=1; undo0; a2=2|rc committed 0 0 0: l1=1|",
     ANOMALY_G1A},
    {"G1a under a longer list", "rc aborted 0 0 0: a1=1|rc committed 0 0 0: a1=2|rc committed 0 0 0: l1=1,2|",
     ANOMALY_G1A},
    {"G1b in a list", "rc committed 0 0 0: a1=1; a1=2|rc committed 0 0 0: l1=1|"
     "rc committed 0 0 0: l1=1,2|", ANOMALY_G1B},
    {"G1b in a register", "rr committed 0 0 0: w1=1; w1=2|rr committed 0 0 0: r1=1@1|", ANOMALY_G1B},
    {"G1c", "rc committed 0 0 0: a1=1; l2=2|rc committed 0 0 0: a2=2; l1=1|", ANOMALY_G1C},
    {"G1c of registers at repeatable read", "rr committed 0 0 0: w1=1; r2=2@1|"
     "rr committed 0 0 0: w2=2; r1=1@1|", ANOMALY_G1C},
    {"G-single", "rr committed 0 0 0: l1=; l2=2|rr committed 0 0 0: a1=1; a2=2|"
     "rr committed 0 0 0: l1=1 l2=2|", ANOMALY_G_SINGLE},
    {"G-single of an aborted reader", "rr aborted 0 0 0: l1=; l2=2|rr committed 0 0 0: a1=1; a2=2|"
     "rr committed 0 0 0: l1=1 l2=2|", ANOMALY_G_SINGLE},
    {"G-single within one statement", "rc committed 0 0 0: l1= l2=2|rc committed 0 0 0: a1=1; a2=2|"
     "rc committed 0 0 0: l1=1 l2=2|", ANOMALY_G_SINGLE},
    {"G-single, going back", "rc committed 0 0 0: l1=1; l2=|rc committed 0 0 0: a1=1; a2=2|"
     "rc committed 0 0 0: l1=1 l2=2|", ANOMALY_G_SINGLE},
    {"G-single through a third", "rr committed 0 0 0: r1=0@0; r3=4@1|rc committed 0 0 0: w1=1; w2=2; r2=2@1|"
     "rc committed 0 0 0: w2=3; r2=3@2; w3=4|rc committed 0 0 0: r1=1@1|", ANOMALY_G_SINGLE},
    {"G-single, a list going back", "rr committed 0 0 0: a1=1|rr committed 0 0 0: a1=2|"
     "rc committed 0 0 0: l1=1,2; l1=1|", ANOMALY_G_SINGLE},
    {"lost update", "rr committed 0 0 0: l1=; a1=1|rr committed 0 0 0: l1=; a1=2|"
     "rr committed 0 0 0: l1=1,2|", ANOMALY_LOST_UPDATE},
    {"lost update of one version", "rc committed 0 0 0: w1=1; r1=1@1|rc committed 0 0 0: w1=2; r1=2@1|",
     ANOMALY_LOST_UPDATE},
    {"long fork", "rr committed 0 0 0: a1=1|rr committed 0 0 0: a2=2|rr committed 0 0 0: l1=1 l2=|"
     "rr committed 0 0 0: l1= l2=2|rr committed 0 0 0: l1=1 l2=2|", ANOMALY_LONG_FORK},
    {"dirty read", "rr committed 1 5 6: a1=1|rr committed 2 3 4: l1=1|", ANOMALY_DIRTY_READ},
    {"stale read", "rr committed 1 2 3: a1=1|rr committed 4 5 6: l1=|rr committed 7 8 9: l1=1|",
     ANOMALY_STALE_READ},
    {"stale read of a register", "rr committed 1 2 3: w1=1; r1=1@1|rc committed 4 5 6: r1=0@0|",
     ANOMALY_STALE_READ},
    {"stale read of a statement", "rr committed 3 4 5: a1=1|rc committed 1 9 10: @1-2 l2=; @6-7 l1=|"
     "rr committed 0 0 0: l1=1|", ANOMALY_STALE_READ},
    {"lost write", "rr committed 1 2 3: a1=1|rr committed 4 5 6: a1=2|rr committed 7 8 9: l1=2|",
     ANOMALY_LOST_WRITE},
    {"half a transaction", "rr unknown 1 2 3: a1=1; a2=2|rr committed 4 5 6: l1=1 l2=|",
     ANOMALY_HALF_COMMIT},
    {"own write missed", "rr committed 0 0 0: a1=1; l1=|", ANOMALY_OWN_WRITE_MISSED},
    {"own write missed behind others", "rr committed 0 0 0: a1=2; l1=1|rr committed 0 0 0: a1=1|",
     ANOMALY_OWN_WRITE_MISSED},
    {"own write missed in a register", "rc aborted 0 0 0: w1=1; r1=0@0|", ANOMALY_OWN_WRITE_MISSED},
    {"the older of two own writes", "rc committed 0 0 0: a1=1; a1=2; l1=1|", ANOMALY_OWN_WRITE_MISSED},
    {"seen after it was taken back", "rc committed 0 0 0: a1=1; undo0; l1=1|", ANOMALY_UNDONE_SEEN},
    {"a register after it was taken back", "rr committed 0 0 0: w1=1; undo0; r1=1@1|", ANOMALY_UNDONE_SEEN},
    {"unrepeatable", "rr committed 0 0 0: l1=; l1=1|rr committed 0 0 0: a1=1|", ANOMALY_UNREPEATABLE},
    {"unrepeatable register", "rr committed 0 0 0: r1=0@0; r1=1@1|rr committed 0 0 0: w1=1|",
     ANOMALY_UNREPEATABLE},
    {"changed under a lock", "rc committed 0 0 0: a1=1; l1=1; l1=2,1|rc committed 0 0 0: a1=2|",
     ANOMALY_UNREPEATABLE},
    {"two orders", "rc committed 0 0 0: a1=1|rc committed 0 0 0: a1=2|rc committed 0 0 0: l1=1,2|"
     "rc committed 0 0 0: l1=2|", ANOMALY_ORDER},
    {"twice there", "rc committed 0 0 0: a1=1|rc committed 0 0 0: l1=1,1|", ANOMALY_REPEATED},
    {"two versions of one write", "rc committed 0 0 0: w1=1|rc committed 0 0 0: r1=1@1|"
     "rc committed 0 0 0: r1=1@2|", ANOMALY_REPEATED},
    {"nobody wrote it", "rc committed 0 0 0: l1=1|", ANOMALY_UNKNOWN_VALUE},
    {"nobody wrote it there", "rc committed 0 0 0: a1=1|rc committed 0 0 0: l2=1|", ANOMALY_UNKNOWN_VALUE},
};

static void read_lines(struct history *history, const char *lines)
{
    char line[LINE_BYTES];
    for (const char *end; (end = strchr(lines, '|')) != NULL; lines = end + 1) {
        size_t length = (size_t)(end - lines);
        assert_true(length < sizeof line);
        memcpy(line, lines, length);
        line[length] = '\0';
        assert_true(history_read_line(history, line));
    }
}

static void check_examples(void **state)
{
    bool named[ANOMALY_COUNT] = {false};
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        struct history *history = history_create(SMALL, SMALL, SMALL);
        struct checker_report report;
        read_lines(history, examples[i].lines);
        checker_check(history, NULL, &report);
        bool right = examples[i].wanted == CLEAN ? report.total == 0 : report.found[examples[i].wanted] > 0;
        if (!right) {
            fprintf(stderr, "%s: wanted %s\n", examples[i].what,
                    examples[i].wanted == CLEAN ? "none" : checker_anomaly_text(examples[i].wanted));
            checker_check(history, stderr, &report);
            checker_print_report(&report, stderr);
        }
        assert_true(right);
        if (examples[i].wanted != CLEAN)
            named[examples[i].wanted] = true;
        history_destroy(history);
    }
    for (size_t i = 0; i < ANOMALY_COUNT; i++)
        assert_true(named[i]);
}

/* What is counted. */
static void count(void **state)
{
    struct history *history = history_create(SMALL, SMALL, SMALL);
    struct checker_report report;
    read_lines(history, "rr committed 0 0 0: l1= l2=; a1=1|rr committed 0 0 0: l1= l2=; a2=2|"
                        "rr unknown 1 2 3: a3=3|rr aborted 0 0 0: a4=4|rr running 0 0 0: a5=5|"
                        "rr unknown 0 0 0: a6=6|rc committed 4 5 6: l1=1 l2=2 l3=3|");
    checker_check(history, NULL, &report);
    assert_int_equal(report.total, 0);
    assert_int_equal(report.g2_item, 1);
    assert_int_equal(report.committed, 3);
    assert_int_equal(report.unknown, 2);
    assert_int_equal(report.unknown_seen, 1);
    assert_int_equal(report.aborted, 2);
    assert_int_equal(report.reads, 7);
    assert_int_equal(report.writes, 6);
    history_destroy(history);
}

/* A history is printed as it was read, and adding one to another changes nothing in it. */
static void text_and_back(void **state)
{
    static const char line[] = "rr unknown 1 2 9: a1=1 l2=2,3 l4=; @2-3 undo0; w1=5 r1=5@7; @4-5 r2=0@0\n";
    struct history *history = history_create(SMALL, SMALL, SMALL);
    struct history *whole = history_create(SMALL, SMALL, SMALL);
    assert_true(history_read_line(history, line));
    assert_false(history_read_line(whole, "rr sometimes 1 2 3: a1=1"));
    assert_false(history_read_line(whole, "rr committed 1 2 3: b1=1"));
    for (int i = 0; i < 3; i++)
        history_append(whole, history);
    char text[LINE_BYTES] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    history_print(whole, whole->count - 1, out);
    fclose(out);
    assert_string_equal(text, line);
    history_destroy(history);
    history_destroy(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_examples),
        cmocka_unit_test(count),
        cmocka_unit_test(text_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
