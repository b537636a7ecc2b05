// How fast a vector tier's integer multiply can go at all: independent chains of it over registers alone.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace belle {
namespace {

constexpr size_t kPeakChains = 12;  // enough for a latency of 6 at two a cycle, and 16 registers hold them
constexpr size_t kPeakSteps = 8;    // of a round: what a compiler moves between registers around them counts less

// Sums in registers: nested, because compilers keep an array of this size in memory.
template <class Multiply, size_t count>
struct Chains {
  typename Multiply::Register sum;
  Chains<Multiply, count - 1> rest;

  inline void start(uint32_t value) noexcept {
    sum = Multiply::fill(static_cast<int32_t>(value));
    rest.start(value + 1);
  }
  inline void step(typename Multiply::Register other) noexcept {
    sum = Multiply::step(sum, other);
    rest.step(other);
  }
  inline uint32_t total() const noexcept { return static_cast<uint32_t>(Multiply::first(sum)) + rest.total(); }
};

template <class Multiply>
struct Chains<Multiply, 0> {
  inline void start(uint32_t) noexcept {}
  inline void step(typename Multiply::Register) noexcept {}
  inline uint32_t total() const noexcept { return 0; }
};

// Multiply: a Register of the kind that the products' sums have, how to fill and read one, kProducts, and step(sum,
// other): the sum after kProducts more products. A step depends on the sum it gets, so that no compiler can take it out
// of the loop.
template <class Multiply>
uint64_t integer_peak(size_t n_rounds, int32_t* sink) noexcept {
  Chains<Multiply, kPeakChains> chains;
  const uint32_t seed = static_cast<uint32_t>(*sink);
  chains.start(seed);
  const typename Multiply::Register other = Multiply::fill(static_cast<int32_t>(seed + 0x01020304u));
  for (size_t round = 0; round < n_rounds; ++round) {
    for (size_t i = 0; i < kPeakSteps; ++i) chains.step(other);
  }
  *sink = static_cast<int32_t>(chains.total());
  return 2 * static_cast<uint64_t>(n_rounds) * kPeakSteps * kPeakChains * Multiply::kProducts;
}

}  // namespace
}  // namespace belle
