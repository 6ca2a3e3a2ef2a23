/* sidecar_keys.h - sorted keys with their slots, packed (private to src/store).
 *
 * Formats: docs/FILE_FORMAT.md, "Keys". */
#ifndef OMEN_STORE_SIDECAR_KEYS_H
#define OMEN_STORE_SIDECAR_KEYS_H

#include "base/arena.h"
#include "base/bytes.h"
#include "table/table_adopt.h"

/* Appends the keys; the writer says whether memory was enough. */
void sidecar_put_words(struct byte_writer *writer, const uint64_t *words, const uint16_t *slots,
                       uint32_t count);
void sidecar_put_bytes(struct byte_writer *writer, const struct index_key *keys,
                       const uint16_t *slots, uint32_t count);

/* Takes `count` keys into the arena. The reader has failed where there are none; keys ascend.
 * Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status sidecar_take_words(struct byte_reader *reader, uint32_t count,
                                               struct arena *arena, struct group_keys *out);
OMEN_MUST_CHECK omen_status sidecar_take_bytes(struct byte_reader *reader, uint32_t count,
                                               struct arena *arena, struct group_keys *out);

#endif
