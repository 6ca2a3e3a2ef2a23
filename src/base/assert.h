/* assert.h - checks of our own invariants. Never for bytes from disk, network or user. */
#ifndef OMEN_BASE_ASSERT_H
#define OMEN_BASE_ASSERT_H

/* Prints the broken invariant and aborts. */
_Noreturn void assert_failed(const char *expression, const char *file, int line);

/* Stays on in release builds. */
#define OMEN_ASSERT(condition)                                                                     \
    ((condition) ? (void)0 : assert_failed(#condition, __FILE__, __LINE__))

/* Only in debug builds: checks too costly for the hot paths. */
#ifdef OMEN_DEBUG
#define OMEN_DCHECK(condition) OMEN_ASSERT(condition)
#else
#define OMEN_DCHECK(condition) ((void)sizeof(condition))
#endif

#endif
