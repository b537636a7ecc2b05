// Keys and values of a sequence as bytes that follow each other, and back, a thread for some layers each.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/thread_pool.h"
#include "kv/pages.h"

namespace belle {

/// Of a layer's keys and values of n_tokens positions.
size_t saved_layer_bytes(const KvShape& shape, size_t n_tokens) noexcept;

/// Writes the layers one after the other, saved_layer_bytes() each, and the XXH64 of each to hashes [n_layers].
void save_layers(const KvSequence& kv, size_t n_tokens, ThreadPool& pool, uint8_t* to, uint64_t* hashes);

/// Reads them into the reserved positions [0, n_tokens), and tells the XXH64 of what it read.
void restore_layers(const KvSequence& kv, size_t n_tokens, ThreadPool& pool, const uint8_t* from, uint64_t* hashes);

}  // namespace belle
