#include "ops/rope.h"

#include <cmath>

#include "core/half.h"
#include "kv/byte_slots.h"

namespace belle {
namespace {

float widen(float value) noexcept { return value; }
float widen(uint16_t half) noexcept { return half_to_float(half); }
void narrow(float value, float& out) noexcept { out = value; }
void narrow(float value, uint16_t& out) noexcept { out = float_to_half(value); }

// Turns the key in one slot of a page; key: room for it.
template <typename Element>
void rotate_stored_key(const KernelTable& kernels, uint8_t* keys, size_t, size_t slot,
                       const std::vector<float>& cosines, const std::vector<float>& sines, float* key) noexcept {
  const size_t n_dims = 2 * cosines.size();
  Element* elements = reinterpret_cast<Element*>(keys) + slot;
  for (size_t d = 0; d < n_dims; ++d) key[d] = widen(elements[d * kPageTokens]);
  kernels.rotate_pairs(key, cosines.data(), sines.data(), cosines.size());
  for (size_t d = 0; d < n_dims; ++d) narrow(key[d], elements[d * kPageTokens]);
}

// Its bytes are rounded once more, with a new scale.
void rotate_stored_bytes(const KernelTable& kernels, uint8_t* keys, size_t head_dim, size_t slot,
                         const std::vector<float>& cosines, const std::vector<float>& sines, float* key) noexcept {
  const ByteKeys stored(keys, head_dim);
  stored.get(slot, key);
  kernels.rotate_pairs(key, cosines.data(), sines.data(), cosines.size());
  ByteRow numbers;
  numbers.quantize(kernels, key, head_dim);
  stored.put(numbers, slot);
}

}  // namespace

RopeTable::RopeTable(size_t n_dims, double theta, double scale) : n_pairs_(n_dims / 2) {
  for (size_t i = 0; i < n_pairs_; ++i) {
    frequencies_.push_back(scale * std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(n_dims)));
  }
}

void RopeTable::fill(Span<const uint32_t> positions) {
  cosines_.resize(positions.size() * n_pairs_);
  sines_.resize(positions.size() * n_pairs_);
  for (size_t r = 0; r < positions.size(); ++r) {
    for (size_t i = 0; i < n_pairs_; ++i) {
      const double angle = static_cast<double>(positions[r]) * frequencies_[i];
      cosines_[r * n_pairs_ + i] = static_cast<float>(std::cos(angle));
      sines_[r * n_pairs_ + i] = static_cast<float>(std::sin(angle));
    }
  }
}

void RopeTable::rotate(const OpsContext& context, float* x, size_t n_rows, size_t n_heads, size_t head_dim) const {
  const OperationTimer timer(context.profile, Operation::kRope);
  context.pool.parallel_for(n_rows, [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) {
      for (size_t h = 0; h < n_heads; ++h) {
        context.kernels.rotate_pairs(x + (r * n_heads + h) * head_dim, cosines_.data() + r * n_pairs_,
                                     sines_.data() + r * n_pairs_, n_pairs_);
      }
    }
  });
}

void RopeTable::rotate_keys_back(const OpsContext& context, const KvShape& kv, uint8_t* const* pages, size_t first,
                                 size_t last, size_t distance) const {
  std::vector<float> cosines, sines;
  for (const double frequency : frequencies_) {
    cosines.push_back(static_cast<float>(std::cos(static_cast<double>(distance) * frequency)));
    sines.push_back(static_cast<float>(-std::sin(static_cast<double>(distance) * frequency)));
  }
  const auto rotate = by_kv_type(kv.type, rotate_stored_key<float>, rotate_stored_key<uint16_t>, rotate_stored_bytes);
  const size_t n_heads = kv.n_layers * kv.n_kv_heads;
  std::vector<float> scratch(n_heads * kv.head_dim);  // a key per head
  context.pool.parallel_for(n_heads, [&](size_t begin, size_t end) {
    for (size_t item = begin; item < end; ++item) {
      const size_t offset = kv.keys_offset(item / kv.n_kv_heads, item % kv.n_kv_heads);
      for (size_t position = first; position < last; ++position) {
        rotate(context.kernels, pages[position / kPageTokens] + offset, kv.head_dim, position % kPageTokens, cosines,
               sines, scratch.data() + item * kv.head_dim);
      }
    }
  });
}

}  // namespace belle
