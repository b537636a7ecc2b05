// XXH64 with seed 0: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/span.h"

namespace belle {

/// The hash of bytes that come in pieces.
class Xxh64 {
 public:
  Xxh64() noexcept;

  void update(Span<const uint8_t> bytes) noexcept;
  /// Of everything so far; more may follow.
  uint64_t digest() const noexcept;

 private:
  static constexpr size_t kStripeBytes = 32;

  uint64_t lanes_[4];
  uint64_t n_bytes_ = 0;
  uint8_t rest_[kStripeBytes];  // n_bytes_ % kStripeBytes bytes that fill no stripe yet
};

uint64_t xxh64(Span<const uint8_t> bytes) noexcept;

}  // namespace belle
