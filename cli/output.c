/* output.c - the state of standard output, which is one for the process. */
#define _DEFAULT_SOURCE
#include "output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { COLUMNS_DEFAULT = 80, COLUMNS_MIN = 20 };

static int first_errno;

bool output_failed(void)
{
    if (first_errno == 0 && ferror(stdout))
        first_errno = errno != 0 ? errno : EIO;
    return first_errno != 0;
}

int output_errno(void)
{
    return first_errno;
}

size_t output_columns(void)
{
    struct winsize size;
    if (!isatty(STDOUT_FILENO))
        return 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return COLUMNS_DEFAULT;
    return size.ws_col < COLUMNS_MIN ? COLUMNS_MIN : size.ws_col;
}
