/* checksum.c - XXH3 compiled in, so that no call goes through a library. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/checksum.h"

uint64_t checksum64(const void *data, size_t length, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, length, seed);
}
