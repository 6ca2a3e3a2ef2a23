/* peers.cpp - absl's btree_map and the reference ALEX behind peers.h.
 *
 * Compiled with -DPEER_ALEX_HEADER="\"<checkout>/src/core/alex.h\"" where ALEX_DIR names a
 * checkout of github.com/microsoft/ALEX; the code itself never enters this repository.
 */
#include "peers.h"

#include <absl/container/btree_map.h>

#include <utility>
#include <vector>

#ifdef PEER_ALEX_HEADER
#include PEER_ALEX_HEADER
using AlexMap = alex::Alex<uint64_t, uint64_t>;
#endif
using BtreeMap = absl::btree_map<uint64_t, uint64_t>;

namespace {

template <typename Find>
uint64_t sum_of(const uint64_t *keys, size_t count, Find find)
{
    uint64_t sum = 0;
    for (size_t at = 0; at < count; at++)
        sum += find(keys[at]);
    return sum;
}

template <typename Insert>
void time_inserts(const uint64_t *keys, const uint64_t *values, size_t count,
                  uint64_t (*clock)(void), uint32_t *ticks, Insert insert)
{
    for (size_t at = 0; at < count; at++) {
        uint64_t start = clock();
        insert(keys[at], values[at]);
        uint64_t passed = clock() - start;
        ticks[at] = passed > UINT32_MAX ? UINT32_MAX : static_cast<uint32_t>(passed);
    }
}

} // namespace

struct peer peer_load(enum peer_kind kind, const uint64_t *keys, const uint64_t *values,
                      size_t count)
{
    struct peer peer = {kind, nullptr};
    std::vector<std::pair<uint64_t, uint64_t>> pairs(count);
    for (size_t at = 0; at < count; at++)
        pairs[at] = {keys[at], values[at]};
    if (kind == PEER_BTREE)
        peer.map = new BtreeMap(pairs.begin(), pairs.end());
#ifdef PEER_ALEX_HEADER
    if (kind == PEER_ALEX) {
        auto *map = new AlexMap;
        map->bulk_load(pairs.data(), static_cast<int>(count));
        peer.map = map;
    }
#endif
    return peer;
}

void peer_free(struct peer *peer)
{
    if (peer->kind == PEER_BTREE)
        delete static_cast<BtreeMap *>(peer->map);
#ifdef PEER_ALEX_HEADER
    if (peer->kind == PEER_ALEX)
        delete static_cast<AlexMap *>(peer->map);
#endif
    peer->map = nullptr;
}

uint64_t peer_lookup_all(const struct peer *peer, const uint64_t *keys, size_t count)
{
    if (peer->kind == PEER_BTREE) {
        const auto *map = static_cast<const BtreeMap *>(peer->map);
        return sum_of(keys, count, [map](uint64_t key) {
            auto found = map->find(key);
            return found == map->end() ? 0 : found->second;
        });
    }
#ifdef PEER_ALEX_HEADER
    auto *map = static_cast<AlexMap *>(peer->map);
    return sum_of(keys, count, [map](uint64_t key) {
        const uint64_t *found = map->get_payload(key);
        return found == nullptr ? 0 : *found;
    });
#else
    return 0;
#endif
}

void peer_insert_timed(struct peer *peer, const uint64_t *keys, const uint64_t *values,
                       size_t count, uint64_t (*clock)(void), uint32_t *ticks)
{
    if (peer->kind == PEER_BTREE) {
        auto *map = static_cast<BtreeMap *>(peer->map);
        time_inserts(keys, values, count, clock, ticks,
                     [map](uint64_t key, uint64_t value) { map->insert({key, value}); });
    }
#ifdef PEER_ALEX_HEADER
    if (peer->kind == PEER_ALEX) {
        auto *map = static_cast<AlexMap *>(peer->map);
        time_inserts(keys, values, count, clock, ticks,
                     [map](uint64_t key, uint64_t value) { map->insert(key, value); });
    }
#endif
}

size_t peer_bytes(const struct peer *peer)
{
    if (peer->kind == PEER_BTREE)
        return static_cast<const BtreeMap *>(peer->map)->size() * 16;
#ifdef PEER_ALEX_HEADER
    auto *map = static_cast<AlexMap *>(peer->map);
    return static_cast<size_t>(map->model_size() + map->data_size());
#else
    return 0;
#endif
}

const char *peer_name(enum peer_kind kind)
{
    return kind == PEER_ALEX ? "alex" : "absl btree";
}
