/* fuzz_manifest.c - any bytes as a manifest: they are refused, or read, written and read again the same.
 * With the first byte odd, length and checksums are made right, so that what they guard is reached. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/checksum.h"
#include "fuzz.h"
#include "store/manifest.h"

static void make_right(uint8_t *data, size_t length)
{
    if (length < 64)
        return;
    bytes_put_u64(data + 32, length);
    bytes_put_u64(data + 48, checksum64(data + 64, length - 64, bytes_get_u64(data + 40)));
    bytes_put_u64(data + 56, checksum64(data, 56, 0));
}

/* What was read, written and read again gives the same bytes. */
static void check_again(struct allocator *allocator, const struct manifest *manifest)
{
    struct byte_writer first = {.allocator = allocator}, second = {.allocator = allocator};
    struct manifest again;
    manifest_encode(&first, manifest);
    OMEN_ASSERT(manifest_decode(first.data, first.length, allocator, "manifest", &again, NULL) ==
                OMEN_OK);
    manifest_encode(&second, &again);
    OMEN_ASSERT(first.length == second.length &&
                memcmp(first.data, second.data, first.length) == 0);
    manifest_release(&again);
    byte_writer_release(&first);
    byte_writer_release(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct allocator allocator;
    struct manifest manifest;
    size_t length = size - 1;
    uint8_t *file = malloc(length + 1);
    memcpy(file, data + 1, length);
    if (data[0] & 1)
        make_right(file, length);
    allocator_init(&allocator, 0);
    omen_error error = {.status = OMEN_OK};
    omen_status status = manifest_decode(file, length, &allocator, "manifest", &manifest, &error);
    OMEN_ASSERT(status == error.status);
    OMEN_ASSERT(status == OMEN_OK || status == OMEN_CORRUPTED || status == OMEN_NOT_SUPPORTED);
    if (status == OMEN_OK)
        check_again(&allocator, &manifest);
    manifest_release(&manifest);
    OMEN_ASSERT(allocator.bytes_used == 0);
    free(file);
    return 0;
}
