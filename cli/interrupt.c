/* interrupt.c - signal handlers and the pipe that they write to.
 *
 * The engine's threads may receive a signal meant for the process, so that the main thread's read
 * would not return with EINTR: it polls the pipe too.
 */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

static const int prompt_signals[] = {SIGTERM, SIGHUP, SIGWINCH, SIGCONT};
enum { PROMPT_SIGNALS = sizeof prompt_signals / sizeof *prompt_signals };

static int wake_pipe[2] = {-1, -1};
static bool interactive_run;
static atomic_bool pending;                     /* lock-free: a handler may store it */
static _Atomic(omen_connection *) watched;      /* likewise */
static struct sigaction before[PROMPT_SIGNALS]; /* what prompt_begin replaced */
static volatile sig_atomic_t terminating;       /* SIGTERM or SIGHUP during a prompt */

static void wake(char what)
{
    int kept = errno;
    if (write(wake_pipe[1], &what, 1) < 0) {
        /* the pipe is full of the same news */
    }
    errno = kept;
}

static void on_interrupt(int signal_number)
{
    if (!interactive_run && atomic_load_explicit(&pending, memory_order_relaxed)) {
        signal(signal_number, SIG_DFL);
        raise(signal_number);
    }
    atomic_store_explicit(&pending, true, memory_order_relaxed);
    omen_interrupt(atomic_load_explicit(&watched, memory_order_relaxed));
    wake(WAKE_INTERRUPT);
}

static void on_prompt_signal(int signal_number)
{
    if (signal_number == SIGWINCH) {
        wake(WAKE_RESIZE);
    } else if (signal_number == SIGCONT) {
        wake(WAKE_CONTINUE);
    } else {
        terminating = signal_number;
        wake(WAKE_TERMINATE);
    }
}

void interrupt_install(bool interactive)
{
    /* poll is woken all the same; writes must not be cut short */
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART}, old;
    interactive_run = interactive;
    if (pipe(wake_pipe) != 0)
        return; /* without the pipe Ctrl-C is noticed at the next statement */
    for (size_t i = 0; i < 2; i++) {
        fcntl(wake_pipe[i], F_SETFD, FD_CLOEXEC);
        fcntl(wake_pipe[i], F_SETFL, O_NONBLOCK);
    }
    sigemptyset(&action.sa_mask);
    /* a caller such as nohup may have asked for Ctrl-C to be ignored */
    if (sigaction(SIGINT, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        sigaction(SIGINT, &action, NULL);
}

void interrupt_watch(omen_connection *connection)
{
    atomic_store_explicit(&watched, connection, memory_order_relaxed);
}

bool interrupt_pending(void)
{
    return atomic_load_explicit(&pending, memory_order_relaxed);
}

void interrupt_clear(void)
{
    char news[64];
    while (wake_pipe[0] >= 0 && read(wake_pipe[0], news, sizeof news) > 0)
        continue;
    atomic_store_explicit(&pending, false, memory_order_relaxed);
}

enum wake interrupt_wait(int descriptor)
{
    struct pollfd files[2] = {{.fd = descriptor, .events = POLLIN},
                              {.fd = wake_pipe[0], .events = POLLIN}};
    for (;;) {
        if (poll(files, 2, -1) < 0) {
            if (errno == EINTR)
                continue;
            return WAKE_READABLE; /* let the read say what is wrong */
        }
        char what;
        if (files[1].revents != 0 && read(wake_pipe[0], &what, 1) == 1)
            return (enum wake)what;
        if (files[0].revents != 0)
            return WAKE_READABLE;
    }
}

void interrupt_prompt_begin(void)
{
    struct sigaction action = {.sa_handler = on_prompt_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    terminating = 0;
    for (size_t i = 0; i < PROMPT_SIGNALS; i++)
        sigaction(prompt_signals[i], &action, &before[i]);
}

void interrupt_prompt_end(void)
{
    for (size_t i = 0; i < PROMPT_SIGNALS; i++)
        sigaction(prompt_signals[i], &before[i], NULL);
    if (terminating != 0)
        raise(terminating);
}
