/* figure.h - paired measurements and the lines they print (DESIGN, section 13).
 *
 * A figure compares ours with a peer in one process: the two run in turns, each pair gives one
 * ratio ours / peer, and the line shows the median ratio. Its interval covers the true median
 * with at least 95 % (order statistics of the binomial distribution). A figure is met if the whole
 * interval is at or below the target, missed if it is above, undecided between or without a peer.
 *
 *     index.lookup.uniform ours=71ns peer=124ns(alex) ratio=0.57 [0.56,0.58] target<=0.60 met
 */
#ifndef OMEN_BENCH_FIGURE_H
#define OMEN_BENCH_FIGURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { FIGURE_PAIRS = 11, FIGURE_PAIRS_MAX = 101 };

struct figure {
    const char *name;
    const char *unit;      /* printed behind ours and peer: "ns", "us", "MB" */
    const char *peer_name; /* NULL: there is no peer here, the line is undecided */
    double target;         /* highest ratio that meets the figure */

    /* For figure_compare: one run of each side, and how many units one run measures. */
    void (*ours)(void *context);
    void *ours_context;
    void (*peer)(void *context);
    void *peer_context;
    size_t unit_count;

    double ours_values[FIGURE_PAIRS_MAX];
    double peer_values[FIGURE_PAIRS_MAX];
    size_t pairs;
};

/* Runs both sides once to warm up, then FIGURE_PAIRS times in turns, and prints the line in
 * nanoseconds per unit. True if the figure is met. */
bool figure_compare(struct figure *figure);

/* Adds one pair of measurements, both in the figure's unit. */
void figure_add(struct figure *figure, double ours, double peer);

/* Prints the figure's line, flushed. True if the figure is met. */
bool figure_print(const struct figure *figure);

/* Seconds of a monotonic clock. */
double figure_seconds(void);

/* The median of `count` values, which are sorted. */
double figure_median(double *values, size_t count);

/* Whether the figure `name` is asked for by `wanted`: NULL, the name itself, or a prefix of it
 * that ends at a dot. */
bool figure_wanted(const char *name, const char *wanted);

#ifdef __cplusplus
}
#endif

#endif
