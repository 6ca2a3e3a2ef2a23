/* figure.c - medians, their intervals, and the printed line. See figure.h. */
#include "figure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void figure_add(struct figure *figure, double ours, double peer)
{
    if (figure->pairs == FIGURE_PAIRS_MAX)
        return;
    figure->ours_values[figure->pairs] = ours;
    figure->peer_values[figure->pairs] = peer;
    figure->pairs++;
}

double figure_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

double figure_median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    return count % 2 == 1 ? values[count / 2]
                          : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* How many order statistics may be cut from each end so that the rest covers the median with
 * at least 95 %: the largest k with P(Binomial(count, 1/2) < k) <= 2.5 %. */
static size_t interval_cut(size_t count)
{
    double term = 1;
    for (size_t at = 0; at < count; at++)
        term /= 2;
    double below = 0;
    size_t cut = 0;
    while (cut < count / 2 && below + term <= 0.025) {
        below += term;
        term = term * (double)(count - cut) / (double)(cut + 1);
        cut++;
    }
    return cut > 0 ? cut - 1 : 0;
}

static double median_of(const double *values, size_t count)
{
    double copy[FIGURE_PAIRS_MAX];
    memcpy(copy, values, count * sizeof *copy);
    return figure_median(copy, count);
}

bool figure_print(const struct figure *figure)
{
    if (figure->pairs == 0) {
        printf("%s not measured target<=%.2f undecided\n", figure->name, figure->target);
        return false;
    }
    double ours = median_of(figure->ours_values, figure->pairs);
    if (figure->peer_name == NULL) {
        printf("%s ours=%.4g%s peer=none target<=%.2f undecided\n", figure->name, ours,
               figure->unit, figure->target);
        fflush(stdout);
        return false;
    }
    double ratios[FIGURE_PAIRS_MAX];
    for (size_t at = 0; at < figure->pairs; at++)
        ratios[at] = figure->ours_values[at] / figure->peer_values[at];
    double ratio = figure_median(ratios, figure->pairs);
    size_t cut = interval_cut(figure->pairs);
    double low = ratios[cut];
    double high = ratios[figure->pairs - 1 - cut];
    const char *verdict = figure->pairs < FIGURE_PAIRS ? "undecided"
                          : high <= figure->target     ? "met"
                          : low > figure->target       ? "missed"
                                                       : "undecided";
    printf("%s ours=%.4g%s peer=%.4g%s(%s) ratio=%.2f [%.2f,%.2f] target<=%.2f %s\n",
           figure->name, ours, figure->unit, median_of(figure->peer_values, figure->pairs),
           figure->unit, figure->peer_name, ratio, low, high, figure->target, verdict);
    fflush(stdout);
    return high <= figure->target && figure->pairs >= FIGURE_PAIRS;
}

static double time_run(void (*run)(void *), void *context, size_t unit_count)
{
    if (run == NULL)
        return 0;
    double start = figure_seconds();
    run(context);
    return (figure_seconds() - start) * 1e9 / (double)(unit_count > 0 ? unit_count : 1);
}

bool figure_compare(struct figure *figure)
{
    figure->unit = "ns";
    figure->pairs = 0;
    if (figure->peer == NULL)
        figure->peer_name = NULL;
    for (size_t pair = 0; pair <= FIGURE_PAIRS; pair++) {
        double ours = time_run(figure->ours, figure->ours_context, figure->unit_count);
        double peer = time_run(figure->peer, figure->peer_context, figure->unit_count);
        if (pair > 0)
            figure_add(figure, ours, peer);
    }
    return figure_print(figure);
}

bool figure_wanted(const char *name, const char *wanted)
{
    if (wanted == NULL)
        return true;
    size_t length = strlen(wanted);
    return strncmp(name, wanted, length) == 0 && (name[length] == '\0' || name[length] == '.');
}
