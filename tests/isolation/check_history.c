/* check_history.c - checks a history that was written as text.
 *
 * usage: check_history FILE          (history.h has the format; - is standard input)
 * Exit status 1 where there is an anomaly.
 */
#include <stdlib.h>
#include <string.h>

#include "checker.h"

enum { TRANSACTIONS_MAX = 1 << 24, OPS_MAX = 1 << 28, LINE_MAX_BYTES = 1 << 24 };

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: check_history FILE\n");
        return 2;
    }
    FILE *file = strcmp(argv[1], "-") == 0 ? stdin : fopen(argv[1], "r");
    if (file == NULL) {
        perror(argv[1]);
        return 2;
    }
    struct history *history = history_create(TRANSACTIONS_MAX, OPS_MAX, (size_t)OPS_MAX * 4);
    char *line = malloc(LINE_MAX_BYTES);
    while (line != NULL && fgets(line, LINE_MAX_BYTES, file) != NULL)
        if (*line != '\n' && *line != '#' && !history_read_line(history, line))
            return 2;
    struct checker_report report;
    checker_check(history, stdout, &report);
    checker_print_report(&report, stdout);
    free(line);
    fclose(file);
    history_destroy(history);
    return report.total == 0 ? 0 : 1;
}
