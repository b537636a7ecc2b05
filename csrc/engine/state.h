// A sequence as bytes, and the fingerprint that ties it to its model file.
#pragma once

#include <cstdint>
#include <vector>

#include "core/span.h"
#include "gguf/reader.h"
#include "kv/pages.h"

namespace belle {

/// 64-bit hash of the file's size, its whole header and the first bytes of every tensor.
uint64_t fingerprint_of(const GgufFile& gguf);

std::vector<uint8_t> encode_state(uint64_t fingerprint, const KvSequence& kv, Span<const int32_t> tokens);

/// Fills an empty sequence. Throws std::invalid_argument for bytes that are damaged, or from another model or KV type.
void decode_state(Span<const uint8_t> state, uint64_t fingerprint, size_t n_token_ids, KvSequence& kv,
                  std::vector<int32_t>& tokens);

}  // namespace belle
