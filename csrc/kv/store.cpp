#include "kv/store.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "core/error.h"
#include "core/half.h"
#include "kv/byte_slots.h"

namespace belle {
namespace {

constexpr float kFloatMax = std::numeric_limits<float>::max();

// Whether a number that is finite would not be as float16. What is infinite already has another cause.
bool overflows_half(const HeadRows& rows, RowBlock block, size_t head, size_t head_dim) noexcept {
  int found = 0;
  for (size_t row = block.begin; row < block.end; ++row) {
    const float* x = rows.base + row * rows.row_stride + head * head_dim;
    for (size_t i = 0; i < head_dim; ++i) {
      const float magnitude = std::fabs(x[i]);
      found |= static_cast<int>(magnitude >= kHalfOverflow) & static_cast<int>(magnitude <= kFloatMax);
    }
  }
  return found != 0;
}

[[noreturn]] void fail_half_range(size_t layer) {
  throw UnsupportedModelError("a key or a value of layer " + std::to_string(layer) +
                              " is beyond 65504, the largest number of a float16 cache: load the model with kv='f32' "
                              "(--kv f32)");
}

void convert(const KernelTable&, const float* x, size_t n, float* out) noexcept { std::memcpy(out, x, n * sizeof *x); }
void convert(const KernelTable& kernels, const float* x, size_t n, uint16_t* out) noexcept {
  kernels.to_half(x, n, out);
}

// One head of the rows [begin, end), whose positions follow each other on one page. The positions of a key's element
// lie side by side, so keys are turned in pieces that the first-level cache holds.
template <typename Element>
void store_head(const KernelTable& kernels, const KvShape& kv, size_t layer, size_t head, Span<const KvRow> rows,
                RowBlock block, HeadRows key_rows, HeadRows value_rows) noexcept {
  constexpr size_t kPiece = 64;
  const size_t first = rows[block.begin].position % kPageTokens, n = block.end - block.begin;
  uint8_t* page = rows[block.begin].pages[rows[block.begin].position / kPageTokens];
  Element* keys = reinterpret_cast<Element*>(page + kv.keys_offset(layer, head)) + first;
  Element* values = reinterpret_cast<Element*>(page + kv.values_offset(layer, head)) + first * kv.head_dim;
  const auto row_of = [&](HeadRows all, size_t i) {
    return all.base + (block.begin + i) * all.row_stride + head * kv.head_dim;
  };
  for (size_t i = 0; i < n; ++i) convert(kernels, row_of(value_rows, i), kv.head_dim, values + i * kv.head_dim);
  for (size_t piece = 0; piece < kv.head_dim; piece += kPiece) {
    Element turned[kPageTokens][kPiece];
    const size_t n_elements = std::min(kPiece, kv.head_dim - piece);
    for (size_t i = 0; i < n; ++i) convert(kernels, row_of(key_rows, i) + piece, n_elements, turned[i]);
    for (size_t d = 0; d < n_elements; ++d) {
      Element* slot = keys + (piece + d) * kPageTokens;
      for (size_t i = 0; i < n; ++i) slot[i] = turned[i][d];
    }
  }
}

void store_byte_head(const KernelTable& kernels, const KvShape& kv, size_t layer, size_t head, Span<const KvRow> rows,
                     RowBlock block, HeadRows key_rows, HeadRows value_rows) noexcept {
  uint8_t* page = rows[block.begin].pages[rows[block.begin].position / kPageTokens];
  const ByteKeys keys(page + kv.keys_offset(layer, head), kv.head_dim);
  const ByteValues values(page + kv.values_offset(layer, head), kv.head_dim);
  const auto quantize = [&](HeadRows all, size_t row, ByteRow& numbers) {
    numbers.quantize(kernels, all.base + row * all.row_stride + head * kv.head_dim, kv.head_dim);
  };
  ByteRow numbers[kGroupBytes];
  for (size_t row = block.begin; row < block.end;) {
    const size_t slot = rows[row].position % kPageTokens;
    const bool whole_group = slot % kGroupBytes == 0 && row + kGroupBytes <= block.end;
    const size_t n = whole_group ? kGroupBytes : 1;
    for (size_t i = 0; i < n; ++i) {
      quantize(key_rows, row + i, numbers[0]);
      keys.put(numbers[0], slot + i);
    }
    for (size_t i = 0; i < n; ++i) quantize(value_rows, row + i, numbers[i]);
    if (whole_group) values.put_group(numbers, slot);
    else values.put(numbers[0], slot);
    row += n;
  }
}

template <typename Element>
void move_position(const KvShape& kv, size_t layer, size_t head, uint8_t* from, size_t from_position, uint8_t* to,
                   size_t to_position) noexcept {
  const auto* keys = reinterpret_cast<const Element*>(from + kv.keys_offset(layer, head)) + from_position % kPageTokens;
  auto* moved_keys = reinterpret_cast<Element*>(to + kv.keys_offset(layer, head)) + to_position % kPageTokens;
  for (size_t d = 0; d < kv.head_dim; ++d) moved_keys[d * kPageTokens] = keys[d * kPageTokens];
  const size_t slot_bytes = kv.head_dim * sizeof(Element), values = kv.values_offset(layer, head);
  std::memcpy(to + values + to_position % kPageTokens * slot_bytes,
              from + values + from_position % kPageTokens * slot_bytes, slot_bytes);
}

void move_byte_position(const KvShape& kv, size_t layer, size_t head, uint8_t* from, size_t from_position, uint8_t* to,
                        size_t to_position) noexcept {
  const size_t slot = from_position % kPageTokens, moved_slot = to_position % kPageTokens;
  const ByteKeys keys(from + kv.keys_offset(layer, head), kv.head_dim);
  const ByteKeys moved_keys(to + kv.keys_offset(layer, head), kv.head_dim);
  const ByteValues values(from + kv.values_offset(layer, head), kv.head_dim);
  const ByteValues moved_values(to + kv.values_offset(layer, head), kv.head_dim);
  for (size_t d = 0; d < kv.head_dim; ++d) {
    moved_keys.byte(d, moved_slot) = keys.byte(d, slot);
    moved_values.byte(d, moved_slot) = values.byte(d, slot);
  }
  moved_keys.scale(moved_slot) = keys.scale(slot);
  moved_values.scale(moved_slot) = values.scale(slot);
}

}  // namespace

void KvWriter::store(const KvShape& kv, size_t layer, Span<const KvRow> rows, HeadRows keys, HeadRows values) const {
  const OperationTimer timer(profile, Operation::kKvStore);
  std::atomic<bool> overflow{false};
  const auto store_rows = by_kv_type(kv.type, store_head<float>, store_head<uint16_t>, store_byte_head);
  pool.parallel_for(kv.n_kv_heads, [&](size_t begin, size_t end) {
    for (size_t head = begin; head < end; ++head) {
      for (size_t row = 0; row < rows.size();) {
        const size_t page_end = row + kPageTokens - rows[row].position % kPageTokens;
        const RowBlock block = block_at(rows, row, std::min(page_end, rows.size()));
        store_rows(kernels, kv, layer, head, rows, block, keys, values);
        if (kv.type == KvType::kF16 &&
            (overflows_half(keys, block, head, kv.head_dim) ||  // while they are in the cache
             overflows_half(values, block, head, kv.head_dim))) {
          overflow = true;
        }
        row = block.end;
      }
    }
  });
  if (overflow) fail_half_range(layer);
}

void KvWriter::move_down(const KvShape& kv, uint8_t* const* pages, size_t first, size_t last, size_t distance) const {
  const auto move = by_kv_type(kv.type, move_position<float>, move_position<uint16_t>, move_byte_position);
  pool.parallel_for(kv.n_layers * kv.n_kv_heads, [&](size_t begin, size_t end) {
    for (size_t item = begin; item < end; ++item) {
      for (size_t position = first; position < last; ++position) {  // ascending: a source is read before it is written
        const size_t target = position - distance;
        move(kv, item / kv.n_kv_heads, item % kv.n_kv_heads, pages[position / kPageTokens], position,
             pages[target / kPageTokens], target);
      }
    }
  });
}

}  // namespace belle
