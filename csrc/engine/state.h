// A sequence as bytes, and the fingerprint that ties it to its model file.
#pragma once

#include <cstdint>
#include <vector>

#include "core/span.h"
#include "core/thread_pool.h"
#include "gguf/reader.h"
#include "kv/pages.h"

namespace belle {

/// 64-bit hash of the file's size, its whole header and the first bytes of every tensor.
uint64_t fingerprint_of(const GgufFile& gguf);

/// Of a sequence of n_tokens.
size_t state_bytes(const KvShape& shape, size_t n_tokens) noexcept;

/// Writes state_bytes() bytes; the layers by all threads.
void encode_state(uint64_t fingerprint, const KvSequence& kv, Span<const int32_t> tokens, ThreadPool& pool,
                  uint8_t* state);

/// Fills an empty sequence. Throws std::invalid_argument for bytes that are damaged, or from another model or KV type;
/// the sequence is of no use then.
void decode_state(Span<const uint8_t> state, uint64_t fingerprint, size_t n_token_ids, ThreadPool& pool, KvSequence& kv,
                  std::vector<int32_t>& tokens);

}  // namespace belle
