// Operations on rows of floats, for any width of vectors.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/generic/lanes.h"

namespace belle {
namespace {

/// Calls body(i, lanes) for every vector of a row of n floats; the last call may get FirstLanes.
template <class Tier, class Body>
inline void for_each_vector(size_t n, Body body) noexcept {
  size_t i = 0;
  for (; i + Tier::kLanes <= n; i += Tier::kLanes) body(i, AllLanes{});
  if (i < n) body(i, FirstLanes{n - i});
}

/// Sum over the row of f(x[i]), in four vectors of partial sums.
template <class Tier, class Function>
inline float sum_of(const float* x, size_t n, Function f) noexcept {
  constexpr size_t kPartials = 4;
  VectorOf<Tier> partial[kPartials] = {Tier::zeros(), Tier::zeros(), Tier::zeros(), Tier::zeros()};
  size_t i = 0;
  for (; i + kPartials * Tier::kLanes <= n; i += kPartials * Tier::kLanes) {
    for (size_t p = 0; p < kPartials; ++p) {
      partial[p] = Tier::add(partial[p], f(Tier::load(x + i + p * Tier::kLanes, AllLanes{})));
    }
  }
  for_each_vector<Tier>(n - i, [&](size_t rest, auto lanes) noexcept {
    partial[0] = Tier::add(partial[0], Tier::keep(f(Tier::load(x + i + rest, lanes)), lanes));
  });
  return Tier::sum_lanes(Tier::add(Tier::add(partial[0], partial[1]), Tier::add(partial[2], partial[3])));
}

constexpr float kLog2E = 1.44269504f;
constexpr float kLn2High = 0.693147182f;     // ln 2 rounded to float
constexpr float kLn2Low = -1.90465430e-9f;   // what that rounding lost
constexpr float kSmallestExponent = -87.0f;  // e^-87 is near the smallest normal float; below, the result is 0
constexpr float kLargestExponent = 89.0f;    // e^89 is infinity

/// exp(x) = 2^n exp(r) with |r| <= ln 2 / 2, and exp(r) by its Taylor series to r^7 (relative error 5e-9).
template <class Tier>
inline VectorOf<Tier> exponential(VectorOf<Tier> x) noexcept {
  const auto limited = Tier::limit(x, kSmallestExponent, kLargestExponent);
  const auto n = Tier::round_to_integer(Tier::multiply(limited, Tier::broadcast(kLog2E)));
  VectorOf<Tier> r = Tier::subtract_product(n, Tier::broadcast(kLn2High), limited);
  r = Tier::subtract_product(n, Tier::broadcast(kLn2Low), r);
  VectorOf<Tier> series = Tier::broadcast(1.0f / 5040.0f);
  series = Tier::multiply_add(series, r, Tier::broadcast(1.0f / 720.0f));
  series = Tier::multiply_add(series, r, Tier::broadcast(1.0f / 120.0f));
  series = Tier::multiply_add(series, r, Tier::broadcast(1.0f / 24.0f));
  series = Tier::multiply_add(series, r, Tier::broadcast(1.0f / 6.0f));
  series = Tier::multiply_add(series, r, Tier::broadcast(0.5f));
  series = Tier::multiply_add(series, r, Tier::broadcast(1.0f));
  series = Tier::multiply_add(series, r, Tier::broadcast(1.0f));
  return Tier::zero_where_below(Tier::scale_by_power(series, n), x, kSmallestExponent);
}

/// x / (1 + exp(-u)): no overflow, since exp gives infinity and the quotient 0
template <class Tier>
inline VectorOf<Tier> times_sigmoid(VectorOf<Tier> x, VectorOf<Tier> minus_u) noexcept {
  return Tier::divide(x, Tier::add(Tier::broadcast(1.0f), exponential<Tier>(minus_u)));
}

template <class Tier>
float exp_and_sum(float* x, size_t n, float shift) noexcept {
  const auto shifts = Tier::broadcast(shift);
  for_each_vector<Tier>(n, [&](size_t i, auto lanes) noexcept {
    Tier::store(x + i, exponential<Tier>(Tier::subtract(Tier::load(x + i, lanes), shifts)), lanes);
  });
  return sum_of<Tier>(x, n, [](auto v) noexcept { return v; });
}

// The mean in two parts: centring by the first and averaging what is left keeps the digits of small
// differences between large values.
template <class Tier>
void layer_norm(const float* x, const float* weight, const float* bias, float eps, size_t n, float* out) noexcept {
  const float count = static_cast<float>(n);
  const auto rough_mean = Tier::broadcast(sum_of<Tier>(x, n, [](auto v) noexcept { return v; }) / count);
  const auto rough = [&](auto v) noexcept { return Tier::subtract(v, rough_mean); };
  const auto correction = Tier::broadcast(sum_of<Tier>(x, n, rough) / count);
  const auto centred = [&](auto v) noexcept { return Tier::subtract(rough(v), correction); };
  const float squares = sum_of<Tier>(x, n, [&](auto v) noexcept { return Tier::multiply(centred(v), centred(v)); });
  const auto scale = Tier::broadcast(1.0f / sqrtf(squares / count + eps));
  for_each_vector<Tier>(n, [&](size_t i, auto lanes) noexcept {
    const auto normal = Tier::multiply(centred(Tier::load(x + i, lanes)), scale);
    Tier::store(out + i, Tier::multiply_add(normal, Tier::load(weight + i, lanes), Tier::load(bias + i, lanes)), lanes);
  });
}

template <class Tier>
void rms_norm(const float* x, const float* weight, float eps, size_t n, float* out) noexcept {
  const float squares = sum_of<Tier>(x, n, [](auto v) noexcept { return Tier::multiply(v, v); });
  const auto scales = Tier::broadcast(1.0f / sqrtf(squares / static_cast<float>(n) + eps));
  for_each_vector<Tier>(n, [&](size_t i, auto lanes) noexcept {
    Tier::store(out + i,
                Tier::multiply(Tier::multiply(Tier::load(x + i, lanes), scales), Tier::load(weight + i, lanes)), lanes);
  });
}

// x / 2 * (1 + tanh(u)) = x / (1 + exp(-2u)) with 2u = 1.5957691 x (1 + 0.044715 x^2)
template <class Tier>
void gelu(float* x, size_t n) noexcept {
  for_each_vector<Tier>(n, [&](size_t i, auto lanes) noexcept {
    const auto v = Tier::load(x + i, lanes);
    const auto cubic = Tier::multiply_add(Tier::multiply(Tier::broadcast(0.044715f), v), v, Tier::broadcast(1.0f));
    Tier::store(x + i,
                times_sigmoid<Tier>(v, Tier::multiply(Tier::multiply(Tier::broadcast(-1.5957691216f), v), cubic)),
                lanes);
  });
}

template <class Tier>
void silu_multiply(const float* gate, const float* up, size_t n, float* out) noexcept {
  for_each_vector<Tier>(n, [&](size_t i, auto lanes) noexcept {
    const auto g = Tier::load(gate + i, lanes);
    Tier::store(out + i,
                Tier::multiply(times_sigmoid<Tier>(g, Tier::subtract(Tier::zeros(), g)), Tier::load(up + i, lanes)),
                lanes);
  });
}

template <class Tier>
void add_rows(float* x, const float* y, size_t n) noexcept {
  for_each_vector<Tier>(n, [&](size_t i, auto lanes) noexcept {
    Tier::store(x + i, Tier::add(Tier::load(x + i, lanes), Tier::load(y + i, lanes)), lanes);
  });
}

template <class Tier>
void rotate_pairs(float* x, const float* cosines, const float* sines, size_t n_pairs) noexcept {
  constexpr size_t kPairs = Tier::kLanes / 2;
  size_t i = 0;
  for (; i + kPairs <= n_pairs; i += kPairs) Tier::rotate_vector(x + 2 * i, cosines + i, sines + i);
  if (i == n_pairs) return;
  const size_t rest = n_pairs - i;  // through a full vector too, so that a pair's place does not change its bits
  float pairs[Tier::kLanes] = {}, c[kPairs] = {}, s[kPairs] = {};
  memcpy(pairs, x + 2 * i, rest * 2 * sizeof(float));
  memcpy(c, cosines + i, rest * sizeof(float));
  memcpy(s, sines + i, rest * sizeof(float));
  Tier::rotate_vector(pairs, c, s);
  memcpy(x + 2 * i, pairs, rest * 2 * sizeof(float));
}

template <class Tier>
void to_half(const float* x, size_t n, uint16_t* out) noexcept {
  for_each_vector<Tier>(
      n, [&](size_t i, auto lanes) noexcept { Tier::store_half(out + i, Tier::load(x + i, lanes), lanes); });
}

}  // namespace
}  // namespace belle
