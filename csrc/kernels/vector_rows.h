// Row operations written once for every vector width. Include after avx2_vector.h or avx512_vector.h, whose Vector,
// kLanes and functions it uses; like them it stays inside the including file's anonymous namespace.
#pragma once

#include <math.h>

namespace belle {
namespace {

/// Calls body(i, lanes) for every vector of a row of n floats; the last call may get FirstLanes.
template <class Body>
inline void for_each_vector(size_t n, Body body) noexcept {
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(i, AllLanes{});
  if (i < n) body(i, FirstLanes{n - i});
}

/// Sum over the row of f(x[i]), in four vectors of partial sums.
template <class Function>
inline float sum_of(const float* x, size_t n, Function f) noexcept {
  constexpr size_t kPartials = 4;
  Vector partial[kPartials] = {zeros(), zeros(), zeros(), zeros()};
  size_t i = 0;
  for (; i + kPartials * kLanes <= n; i += kPartials * kLanes) {
    for (size_t p = 0; p < kPartials; ++p) partial[p] = add(partial[p], f(load(x + i + p * kLanes, AllLanes{})));
  }
  for_each_vector(n - i, [&](size_t rest, auto lanes) noexcept {
    partial[0] = add(partial[0], keep(f(load(x + i + rest, lanes)), lanes));
  });
  return sum_lanes(add(add(partial[0], partial[1]), add(partial[2], partial[3])));
}

constexpr float kLog2E = 1.44269504f;
constexpr float kLn2High = 0.693147182f;     // ln 2 rounded to float
constexpr float kLn2Low = -1.90465430e-9f;   // what that rounding lost
constexpr float kSmallestExponent = -87.0f;  // e^-87 is near the smallest normal float; below, the result is 0
constexpr float kLargestExponent = 89.0f;    // e^89 is infinity

/// exp(x) = 2^n exp(r) with |r| <= ln 2 / 2, and exp(r) by its Taylor series to r^7 (relative error 5e-9).
inline Vector exponential(Vector x) noexcept {
  const Vector limited = limit(x, kSmallestExponent, kLargestExponent);
  const Vector n = round_to_integer(multiply(limited, broadcast(kLog2E)));
  Vector r = subtract_product(n, broadcast(kLn2High), limited);
  r = subtract_product(n, broadcast(kLn2Low), r);
  Vector series = broadcast(1.0f / 5040.0f);
  series = multiply_add(series, r, broadcast(1.0f / 720.0f));
  series = multiply_add(series, r, broadcast(1.0f / 120.0f));
  series = multiply_add(series, r, broadcast(1.0f / 24.0f));
  series = multiply_add(series, r, broadcast(1.0f / 6.0f));
  series = multiply_add(series, r, broadcast(0.5f));
  series = multiply_add(series, r, broadcast(1.0f));
  series = multiply_add(series, r, broadcast(1.0f));
  return zero_where_below(scale_by_power(series, n), x, kSmallestExponent);
}

/// x / (1 + exp(-u)): no overflow, since exp gives infinity and the quotient 0
inline Vector times_sigmoid(Vector x, Vector minus_u) noexcept {
  return divide(x, add(broadcast(1.0f), exponential(minus_u)));
}

float exp_and_sum(float* x, size_t n, float shift) noexcept {
  const Vector shifts = broadcast(shift);
  for_each_vector(n, [&](size_t i, auto lanes) noexcept {
    store(x + i, exponential(subtract(load(x + i, lanes), shifts)), lanes);
  });
  return sum_of(x, n, [](Vector v) noexcept { return v; });
}

// The mean in two parts: centring by the first and averaging what is left keeps the digits of small
// differences between large values.
void layer_norm(const float* x, const float* weight, const float* bias, float eps, size_t n, float* out) noexcept {
  const float count = static_cast<float>(n);
  const Vector rough_mean = broadcast(sum_of(x, n, [](Vector v) noexcept { return v; }) / count);
  const auto rough = [&](Vector v) noexcept { return subtract(v, rough_mean); };
  const Vector correction = broadcast(sum_of(x, n, rough) / count);
  const auto centred = [&](Vector v) noexcept { return subtract(rough(v), correction); };
  const float squares = sum_of(x, n, [&](Vector v) noexcept { return multiply(centred(v), centred(v)); });
  const Vector scale = broadcast(1.0f / sqrtf(squares / count + eps));
  for_each_vector(n, [&](size_t i, auto lanes) noexcept {
    const Vector normal = multiply(centred(load(x + i, lanes)), scale);
    store(out + i, multiply_add(normal, load(weight + i, lanes), load(bias + i, lanes)), lanes);
  });
}

void rms_norm(const float* x, const float* weight, float eps, size_t n, float* out) noexcept {
  const float squares = sum_of(x, n, [](Vector v) noexcept { return multiply(v, v); });
  const Vector scales = broadcast(1.0f / sqrtf(squares / static_cast<float>(n) + eps));
  for_each_vector(n, [&](size_t i, auto lanes) noexcept {
    store(out + i, multiply(multiply(load(x + i, lanes), scales), load(weight + i, lanes)), lanes);
  });
}

// x / 2 * (1 + tanh(u)) = x / (1 + exp(-2u)) with 2u = 1.5957691 x (1 + 0.044715 x^2)
void gelu(float* x, size_t n) noexcept {
  for_each_vector(n, [&](size_t i, auto lanes) noexcept {
    const Vector v = load(x + i, lanes);
    const Vector cubic = multiply_add(multiply(broadcast(0.044715f), v), v, broadcast(1.0f));
    store(x + i, times_sigmoid(v, multiply(multiply(broadcast(-1.5957691216f), v), cubic)), lanes);
  });
}

void silu_multiply(const float* gate, const float* up, size_t n, float* out) noexcept {
  for_each_vector(n, [&](size_t i, auto lanes) noexcept {
    const Vector g = load(gate + i, lanes);
    store(out + i, multiply(times_sigmoid(g, subtract(zeros(), g)), load(up + i, lanes)), lanes);
  });
}

void add_rows(float* x, const float* y, size_t n) noexcept {
  for_each_vector(
      n, [&](size_t i, auto lanes) noexcept { store(x + i, add(load(x + i, lanes), load(y + i, lanes)), lanes); });
}

void rotate_pairs(float* x, const float* cosines, const float* sines, size_t n_pairs) noexcept {
  constexpr size_t kPairs = kLanes / 2;
  size_t i = 0;
  for (; i + kPairs <= n_pairs; i += kPairs) rotate_vector(x + 2 * i, cosines + i, sines + i);
  if (i == n_pairs) return;
  const size_t rest = n_pairs - i;  // through a full vector too, so that a pair's place does not change its bits
  float pairs[kLanes] = {}, c[kPairs] = {}, s[kPairs] = {};
  memcpy(pairs, x + 2 * i, rest * 2 * sizeof(float));
  memcpy(c, cosines + i, rest * sizeof(float));
  memcpy(s, sines + i, rest * sizeof(float));
  rotate_vector(pairs, c, s);
  memcpy(x + 2 * i, pairs, rest * 2 * sizeof(float));
}

void to_half(const float* x, size_t n, uint16_t* out) noexcept {
  for_each_vector(n, [&](size_t i, auto lanes) noexcept { store_half(out + i, load(x + i, lanes), lanes); });
}

}  // namespace
}  // namespace belle
