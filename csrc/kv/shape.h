// How keys and values lie in a page of the cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "kernels/byte_page.h"
#include "kernels/table.h"

namespace belle {

constexpr size_t kMaxHeadDim = 8192;

enum class KvType : uint8_t { kF32, kF16, kQ8 };  // the numbers stand in saved states
constexpr KvType kKvTypes[] = {KvType::kF32, KvType::kF16, KvType::kQ8};

/// What belongs to a type, of what belongs to each: whoever adds a type finds every place that depends on it.
template <typename Choice>
Choice by_kv_type(KvType type, Choice f32, Choice f16, Choice q8) noexcept {
  switch (type) {
    case KvType::kF32: return f32;
    case KvType::kF16: return f16;
    case KvType::kQ8: return q8;
  }
  std::abort();  // no type
}

inline const char* kv_type_name(KvType type) noexcept { return by_kv_type(type, "f32", "f16", "q8"); }

/// Shape of one page: for each layer and head keys [head_dim][kPageTokens], then values [kPageTokens][head_dim]: scores
/// come out side by side, and so do the elements of the output; a thread's heads are one stretch of memory. Those of q8
/// lie as kernels/byte_page.h says.
struct KvShape {
  KvType type;
  size_t n_layers;
  size_t n_kv_heads;
  size_t head_dim;

  size_t keys_bytes() const noexcept {
    return kPageTokens *
           by_kv_type(type, 4 * head_dim, 2 * head_dim, element_groups(head_dim) * kGroupBytes + sizeof(float));
  }
  size_t values_bytes() const noexcept {
    return kPageTokens * by_kv_type(type, 4 * head_dim, 2 * head_dim, head_dim + sizeof(float));
  }
  size_t head_bytes() const noexcept { return keys_bytes() + values_bytes(); }
  size_t layer_bytes() const noexcept { return n_kv_heads * head_bytes(); }
  size_t page_bytes() const noexcept { return n_layers * layer_bytes(); }
  // Of the first key of a page; element d of position p follows at d * kPageTokens + p, but for q8.
  size_t keys_offset(size_t layer, size_t head) const noexcept { return layer * layer_bytes() + head * head_bytes(); }
  // Of the first value of a page; element d of position p follows at p * head_dim + d, but for q8.
  size_t values_offset(size_t layer, size_t head) const noexcept { return keys_offset(layer, head) + keys_bytes(); }
};

}  // namespace belle
