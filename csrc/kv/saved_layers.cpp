#include "kv/saved_layers.h"

#include <algorithm>
#include <cstring>

#include "core/xxh64.h"

namespace belle {
namespace {

// The first n positions of a head's keys in a page.
template <typename Visit>
void visit_keys(const KvShape& shape, uint8_t* keys, size_t n, const Visit& visit) {
  const bool bytes = shape.type == KvType::kQ8;
  const size_t n_rows = bytes ? element_groups(shape.head_dim) : shape.head_dim;
  const size_t slot_bytes = by_kv_type<size_t>(shape.type, 4, 2, kGroupBytes);
  for (size_t row = 0; row < n_rows; ++row) visit(keys + row * kPageTokens * slot_bytes, n * slot_bytes);
  if (bytes) visit(keys + key_scales_at(shape.head_dim), n * sizeof(float));
}

// Those of its values.
template <typename Visit>
void visit_values(const KvShape& shape, uint8_t* values, size_t n, const Visit& visit) {
  if (shape.type != KvType::kQ8) return visit(values, n * shape.values_bytes() / kPageTokens);
  const size_t n_whole = n / kGroupBytes * kGroupBytes, rest = n - n_whole;
  visit(values, n_whole * shape.head_dim);
  for (size_t d = 0; d < shape.head_dim && rest > 0; ++d) {
    visit(values + value_byte_at(d, n_whole, shape.head_dim), rest);
  }
  visit(values + value_scales_at(shape.head_dim), n * sizeof(float));
}

// Calls visit(memory, n_bytes) on each run of bytes of a layer, in the layout's order.
template <typename Visit>
void visit_layer(const KvSequence& kv, size_t layer, size_t n_tokens, const Visit& visit) {
  const KvShape& shape = kv.shape();
  for (size_t side = 0; side < 2; ++side) {
    for (size_t head = 0; head < shape.n_kv_heads; ++head) {
      for (size_t first = 0; first < n_tokens; first += kPageTokens) {
        uint8_t* page = kv.page_table()[first / kPageTokens];
        const size_t n = std::min(kPageTokens, n_tokens - first);
        uint8_t* memory = page + (side == 0 ? shape.keys_offset(layer, head) : shape.values_offset(layer, head));
        if (n == kPageTokens) visit(memory, side == 0 ? shape.keys_bytes() : shape.values_bytes());
        else if (side == 0) visit_keys(shape, memory, n, visit);
        else visit_values(shape, memory, n, visit);
      }
    }
  }
}

}  // namespace

size_t saved_layer_bytes(const KvShape& shape, size_t n_tokens) noexcept {
  return shape.layer_bytes() / kPageTokens * n_tokens;
}

void save_layers(const KvSequence& kv, size_t n_tokens, ThreadPool& pool, uint8_t* to, uint64_t* hashes) {
  const size_t layer_bytes = saved_layer_bytes(kv.shape(), n_tokens);
  pool.parallel_for(kv.shape().n_layers, [&](size_t begin, size_t end) {
    for (size_t layer = begin; layer < end; ++layer) {
      uint8_t* next = to + layer * layer_bytes;
      Xxh64 hash;
      visit_layer(kv, layer, n_tokens, [&](const uint8_t* memory, size_t n_bytes) {
        hash.update({memory, n_bytes});
        std::memcpy(next, memory, n_bytes);
        next += n_bytes;
      });
      hashes[layer] = hash.digest();
    }
  });
}

void restore_layers(const KvSequence& kv, size_t n_tokens, ThreadPool& pool, const uint8_t* from, uint64_t* hashes) {
  const size_t layer_bytes = saved_layer_bytes(kv.shape(), n_tokens);
  pool.parallel_for(kv.shape().n_layers, [&](size_t begin, size_t end) {
    for (size_t layer = begin; layer < end; ++layer) {
      const uint8_t* next = from + layer * layer_bytes;
      Xxh64 hash;
      visit_layer(kv, layer, n_tokens, [&](uint8_t* memory, size_t n_bytes) {
        std::memcpy(memory, next, n_bytes);
        hash.update({memory, n_bytes});
        next += n_bytes;
      });
      hashes[layer] = hash.digest();
    }
  });
}

}  // namespace belle
