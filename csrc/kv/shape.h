// How keys and values lie in a page of the cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "kernels/table.h"

namespace belle {

enum class KvType : uint8_t { kF32, kF16 };

/// What belongs to a type, of what belongs to each: whoever adds a type finds every place that depends on it.
template <typename Choice>
Choice by_kv_type(KvType type, Choice f32, Choice f16) noexcept {
  switch (type) {
    case KvType::kF32: return f32;
    case KvType::kF16: return f16;
  }
  std::abort();  // no type
}

inline size_t kv_element_bytes(KvType type) noexcept { return by_kv_type<size_t>(type, 4, 2); }

/// Shape of one page: for each layer and head keys [head_dim][kPageTokens], then values [kPageTokens][head_dim]: scores
/// come out side by side, and so do the elements of the output; a thread's heads are one stretch of memory.
struct KvShape {
  KvType type;
  size_t n_layers;
  size_t n_kv_heads;
  size_t head_dim;

  size_t head_bytes() const noexcept { return kPageTokens * head_dim * kv_element_bytes(type); }
  size_t layer_bytes() const noexcept { return 2 * n_kv_heads * head_bytes(); }
  size_t page_bytes() const noexcept { return n_layers * layer_bytes(); }
  // Of the first key of a page; element d of position p follows at d * kPageTokens + p.
  size_t keys_offset(size_t layer, size_t head) const noexcept {
    return layer * layer_bytes() + head * 2 * head_bytes();
  }
  // Of the first value of a page; element d of position p follows at p * head_dim + d.
  size_t values_offset(size_t layer, size_t head) const noexcept { return keys_offset(layer, head) + head_bytes(); }
};

}  // namespace belle
