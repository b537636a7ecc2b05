// Sizes of every tensor type that GGUF files in circulation use: enough to check and list a file
// whose types this engine cannot compute with. Numbers from the GGUF specification and ggml.h.
#pragma once

#include <cstdint>

namespace belle {

struct GgmlType {
  uint32_t id;
  const char* name;
  uint32_t block_size;  // weights
  uint32_t block_bytes;
};

/// Null for an id that is not in the table.
const GgmlType* find_ggml_type(uint32_t id) noexcept;

}  // namespace belle
