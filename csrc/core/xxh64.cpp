#include "core/xxh64.h"

#include <algorithm>
#include <cstring>

#include "core/load.h"

namespace belle {
namespace {

constexpr uint64_t kPrime1 = 0x9E3779B185EBCA87u;
constexpr uint64_t kPrime2 = 0xC2B2AE3D27D4EB4Fu;
constexpr uint64_t kPrime3 = 0x165667B19E3779F9u;
constexpr uint64_t kPrime4 = 0x85EBCA77C2B2AE63u;
constexpr uint64_t kPrime5 = 0x27D4EB2F165667C5u;

uint64_t rotate_left(uint64_t value, unsigned n_bits) noexcept { return (value << n_bits) | (value >> (64 - n_bits)); }

uint64_t round(uint64_t lane, uint64_t input) noexcept { return rotate_left(lane + input * kPrime2, 31) * kPrime1; }

uint64_t merge(uint64_t hash, uint64_t lane) noexcept { return (hash ^ round(0, lane)) * kPrime1 + kPrime4; }

// The four lanes depend on nothing of each other, so their multiplications overlap.
const uint8_t* consume_stripes(uint64_t lanes[4], const uint8_t* data, size_t n_stripes) noexcept {
  uint64_t a = lanes[0], b = lanes[1], c = lanes[2], d = lanes[3];
  for (size_t i = 0; i < n_stripes; ++i, data += 32) {
    a = round(a, load<uint64_t>(data));
    b = round(b, load<uint64_t>(data + 8));
    c = round(c, load<uint64_t>(data + 16));
    d = round(d, load<uint64_t>(data + 24));
  }
  lanes[0] = a, lanes[1] = b, lanes[2] = c, lanes[3] = d;
  return data;
}

}  // namespace

Xxh64::Xxh64() noexcept : lanes_{kPrime1 + kPrime2, kPrime2, 0, 0 - kPrime1} {}

void Xxh64::update(Span<const uint8_t> bytes) noexcept {
  if (bytes.empty()) return;
  const uint8_t* next = bytes.begin();
  const size_t n_rest = static_cast<size_t>(n_bytes_ % kStripeBytes);
  n_bytes_ += bytes.size();
  if (n_rest > 0) {
    const size_t n = std::min(kStripeBytes - n_rest, bytes.size());
    std::memcpy(rest_ + n_rest, next, n);
    next += n;
    if (n_rest + n < kStripeBytes) return;
    consume_stripes(lanes_, rest_, 1);
  }
  next = consume_stripes(lanes_, next, static_cast<size_t>(bytes.end() - next) / kStripeBytes);
  std::memcpy(rest_, next, static_cast<size_t>(bytes.end() - next));
}

uint64_t Xxh64::digest() const noexcept {
  uint64_t hash = kPrime5;
  if (n_bytes_ >= kStripeBytes) {
    hash =
        rotate_left(lanes_[0], 1) + rotate_left(lanes_[1], 7) + rotate_left(lanes_[2], 12) + rotate_left(lanes_[3], 18);
    for (const uint64_t lane : lanes_) hash = merge(hash, lane);
  }
  hash += n_bytes_;
  const uint8_t* next = rest_;
  size_t left = static_cast<size_t>(n_bytes_ % kStripeBytes);
  for (; left >= 8; left -= 8, next += 8) {
    hash = rotate_left(hash ^ round(0, load<uint64_t>(next)), 27) * kPrime1 + kPrime4;
  }
  if (left >= 4) {
    hash = rotate_left(hash ^ (load<uint32_t>(next) * kPrime1), 23) * kPrime2 + kPrime3;
    next += 4;
    left -= 4;
  }
  for (; left > 0; --left, ++next) hash = rotate_left(hash ^ (*next * kPrime5), 11) * kPrime1;
  hash = (hash ^ (hash >> 33)) * kPrime2;
  hash = (hash ^ (hash >> 29)) * kPrime3;
  return hash ^ (hash >> 32);
}

uint64_t xxh64(Span<const uint8_t> bytes) noexcept {
  Xxh64 hash;
  hash.update(bytes);
  return hash.digest();
}

}  // namespace belle
