/* checksum.h - the one checksum of everything on disk: XXH3, 64 bits.
 *
 * It finds damage, not malice. A seed ties the sum to a place (a file's salt, an LSN), so that
 * bytes that were right elsewhere are wrong here.
 *
 * Source: xxHash 0.8 (XXH3_64bits_withSeed); the value for given bytes and seed never changes.
 */
#ifndef OMEN_BASE_CHECKSUM_H
#define OMEN_BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of `length` bytes under a seed; 0 is the seed of what has no place. */
uint64_t checksum64(const void *data, size_t length, uint64_t seed);

#endif
