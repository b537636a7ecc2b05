// One page of attention, f32, f16 and q8: values against doubles, tails, strides, pages in sequence, and bits that
// neither the other queries nor the tile change.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/half.h"
#include "kernels/byte_page.h"
#include "support.h"

namespace belle_test {
namespace {

using belle::AttentionPage;
using belle::KernelTable;
using belle::kMaxQueries;
using belle::kPageTokens;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// What an output may differ by beyond the rounding of floats, for values up to 2.
struct Errors {
  double largest, rms;  // whatever the scores
  double of_norms;      // more for each 1 of the query's norm times the largest key's times the scale; RMS: a quarter
};

// The caches behind one interface: pages as bytes. `n` positions may be read of values.
template <class Number>
struct ElementCache {
  static size_t keys_bytes(size_t head_dim) { return kPageTokens * head_dim * sizeof(Number); }
  static size_t values_bytes(size_t head_dim, size_t n) { return n * head_dim * sizeof(Number); }
  static double key(const uint8_t* keys, size_t, size_t d, size_t i) { return get(keys, d * kPageTokens + i); }
  static double value(const uint8_t* values, size_t head_dim, size_t d, size_t i) {
    return get(values, i * head_dim + d);
  }
  static void fill_keys(uint8_t* keys, size_t head_dim, Random& random) { fill(keys, head_dim, random); }
  static void fill_values(uint8_t* values, size_t head_dim, Random& random) { fill(values, head_dim, random); }
  static void spoil_key(uint8_t* keys, size_t head_dim, size_t i) {
    for (size_t d = 0; d < head_dim; ++d) put(keys, d * kPageTokens + i, kNan);
  }
  static void spoil_value(uint8_t* values, size_t head_dim, size_t i) {
    for (size_t d = 0; d < head_dim; ++d) put(values, i * head_dim + d, kNan);
  }

 private:
  static double get(const uint8_t* memory, size_t at) {
    Number number;
    std::memcpy(&number, memory + at * sizeof number, sizeof number);
    return sizeof number == 2 ? belle::half_to_float(static_cast<uint16_t>(number)) : static_cast<double>(number);
  }
  static void put(uint8_t* memory, size_t at, float x) {
    const Number number = sizeof(Number) == 2 ? static_cast<Number>(belle::float_to_half(x)) : static_cast<Number>(x);
    std::memcpy(memory + at * sizeof number, &number, sizeof number);
  }
  static void fill(uint8_t* memory, size_t head_dim, Random& random) {
    for (size_t i = 0; i < kPageTokens * head_dim; ++i) {
      put(memory, i, random.uniform(-2.0f, 2.0f) * (random.below(10) == 0 ? 1e-6f : 1.0f));
    }
  }
};

struct F32Cache : ElementCache<float> {
  static constexpr const char* kName = "f32";
  static void attend(const KernelTable& t, const AttentionPage& page) { t.attend_page_f32(page); }
  static Errors errors(const KernelTable&) { return {}; }
};

struct F16Cache : ElementCache<uint16_t> {
  static constexpr const char* kName = "f16";
  static void attend(const KernelTable& t, const AttentionPage& page) { t.attend_page_f16(page); }
  static Errors errors(const KernelTable&) { return {}; }
};

// All bytes of a page, in positions with small and large scales, up to values of 2.
struct Q8Cache {
  static constexpr const char* kName = "q8";
  static void attend(const KernelTable& t, const AttentionPage& page) { t.attend_page_q8(page); }
  // The vector tiers round queries and weighted probabilities to 1/16256 of the largest one, by half a step at most.
  static Errors errors(const KernelTable& t) {
    return std::strcmp(t.name, "scalar") == 0 ? Errors{} : Errors{3e-4, 5e-5, 1e-5};
  }
  static size_t keys_bytes(size_t head_dim) { return belle::key_scales_at(head_dim) + belle::kScalesBytes; }
  static size_t values_bytes(size_t head_dim, size_t) { return belle::value_scales_at(head_dim) + belle::kScalesBytes; }
  static double key(const uint8_t* keys, size_t head_dim, size_t d, size_t i) {
    return (keys[belle::key_byte_at(d, i)] - belle::kZeroByte) * static_cast<double>(*key_scale(keys, head_dim, i));
  }
  static double value(const uint8_t* values, size_t head_dim, size_t d, size_t i) {
    const int number = values[belle::value_byte_at(d, i, head_dim)] - belle::kZeroByte;
    return number * static_cast<double>(*value_scale(values, head_dim, i));
  }
  static void fill_keys(uint8_t* keys, size_t head_dim, Random& random) {
    fill(keys, belle::key_scales_at(head_dim), random);
  }
  static void fill_values(uint8_t* values, size_t head_dim, Random& random) {
    fill(values, belle::value_scales_at(head_dim), random);
  }
  static void spoil_key(uint8_t* keys, size_t head_dim, size_t i) {
    *const_cast<float*>(key_scale(keys, head_dim, i)) = kNan;
  }
  static void spoil_value(uint8_t* values, size_t head_dim, size_t i) {
    *const_cast<float*>(value_scale(values, head_dim, i)) = kNan;
  }

 private:
  static const float* key_scale(const uint8_t* keys, size_t head_dim, size_t i) {
    return reinterpret_cast<const float*>(keys + belle::key_scales_at(head_dim)) + i;
  }
  static const float* value_scale(const uint8_t* values, size_t head_dim, size_t i) {
    return reinterpret_cast<const float*>(values + belle::value_scales_at(head_dim)) + i;
  }
  static void fill(uint8_t* memory, size_t n_bytes, Random& random) {
    for (size_t i = 0; i < n_bytes; ++i) memory[i] = static_cast<uint8_t>(1 + random.below(255));  // no byte is -128
    for (size_t i = 0; i < kPageTokens; ++i) {
      const float scale = random.below(10) == 0 ? 1e-6f : random.uniform(0.0f, 2.0f / 127.0f);
      std::memcpy(memory + n_bytes + i * sizeof scale, &scale, sizeof scale);
    }
  }
};

struct Case {
  size_t n_queries;
  size_t n_positions;  // of the last page, seen by the first query; the ones before are full
  size_t n_pages;
  size_t head_dim;
  size_t padding;  // between the rows of q and of out
  float slope;
  size_t more = 0;  // positions of the last page that each query sees beyond the one before it
};

// Everything that a kernel call touches, each buffer right before an unreadable page.
template <class Cache>
struct Attention {
  Attention(const Case& shape, Random& random)
      : shape(shape),
        stride(shape.head_dim + shape.padding),
        scale(1.0f / std::sqrt(static_cast<float>(shape.head_dim))),
        q(random.floats((shape.n_queries - 1) * stride + shape.head_dim, -2.0f, 2.0f)),
        first_position(shape.n_pages * kPageTokens + 3) {
    for (size_t page = 0; page < shape.n_pages; ++page) {
      keys.emplace_back(Cache::keys_bytes(shape.head_dim));
      values.emplace_back(Cache::values_bytes(shape.head_dim, kPageTokens));
      Cache::fill_keys(keys.back().data(), shape.head_dim, random);
      Cache::fill_values(values.back().data(), shape.head_dim, random);
    }
  }

  bool last(size_t page) const { return page + 1 == shape.n_pages; }
  size_t positions_of(size_t page, size_t query) const {
    return last(page) ? shape.n_positions + query * shape.more : kPageTokens;
  }
  float distance(size_t page, size_t query) const {
    return static_cast<float>(page * kPageTokens) - static_cast<float>(first_position + query);
  }

  // Queries [begin, end) over all pages, as the kernel leaves them; divided by the denominators if asked.
  void run(const KernelTable& table, size_t begin, size_t end, Guarded<float>& out, std::vector<float>& sums) const {
    const size_t n = end - begin;
    Guarded<float> running_max(std::vector<float>(n, -std::numeric_limits<float>::infinity()));
    Guarded<float> denominators(std::vector<float>(n, 0.0f));
    for (size_t page = 0; page < shape.n_pages; ++page) {
      const size_t n_positions = positions_of(page, end - 1);
      const auto n_bytes = static_cast<std::ptrdiff_t>(Cache::values_bytes(shape.head_dim, n_positions));
      Guarded<uint8_t> page_keys(keys[page]);
      Guarded<uint8_t> page_values({values[page].begin(), values[page].begin() + n_bytes});
      for (size_t i = n_positions; i < kPageTokens; ++i) {  // what is in the free slots must not matter
        Cache::spoil_key(page_keys.data(), shape.head_dim, i);
        if (Cache::values_bytes(shape.head_dim, n_positions) > Cache::values_bytes(shape.head_dim, 0)) continue;
        Cache::spoil_value(page_values.data(), shape.head_dim, i);
      }
      const void* next_keys = last(page) ? nullptr : page_keys.data();  // to be asked for, never to be read
      Cache::attend(
          table, {q.data() + begin * stride, stride, n, page_keys.data(), page_values.data(), next_keys,
                  positions_of(page, begin), last(page) ? shape.more : 0, shape.head_dim, scale, shape.slope,
                  distance(page, begin), out.data() + begin * stride, stride, running_max.data(), denominators.data()});
    }
    for (size_t i = 0; i < n; ++i) sums[begin + i] = denominators[i];
  }

  // The softmax in doubles: out[d], and how large scores and their terms are.
  void expect(size_t query, std::vector<double>& out, double& largest_score, double& norms) const {
    std::vector<double> scores;
    double query_square = 0.0, largest_square = 0.0;
    for (size_t d = 0; d < shape.head_dim; ++d) query_square += std::pow(q[query * stride + d], 2);
    for (size_t page = 0; page < shape.n_pages; ++page) {
      for (size_t i = 0; i < positions_of(page, query); ++i) {
        double score = 0.0, square = 0.0;
        for (size_t d = 0; d < shape.head_dim; ++d) {
          const double key = Cache::key(keys[page].data(), shape.head_dim, d, i);
          score += q[query * stride + d] * key;
          square += key * key;
        }
        largest_square = std::max(largest_square, square);
        scores.push_back(score * scale + shape.slope * (distance(page, query) + static_cast<double>(i)));
      }
    }
    norms = std::sqrt(query_square * largest_square) * scale;
    largest_score = *std::max_element(scores.begin(), scores.end());
    double denominator = 0.0;
    out.assign(shape.head_dim, 0.0);
    for (size_t page = 0, next = 0; page < shape.n_pages; ++page) {
      for (size_t i = 0; i < positions_of(page, query); ++i, ++next) {
        const double weight = std::exp(scores[next] - largest_score);
        denominator += weight;
        for (size_t d = 0; d < shape.head_dim; ++d) {
          out[d] += weight * Cache::value(values[page].data(), shape.head_dim, d, i);
        }
      }
    }
    for (double& value : out) value /= denominator;
  }

  Case shape;
  size_t stride;
  float scale;
  Guarded<float> q;
  std::vector<std::vector<uint8_t>> keys, values;  // of each page
  size_t first_position;
};

template <class Cache>
void check_case(const KernelTable& table, const Case& shape, Random& random, Checks& checks) {
  const Attention<Cache> attention(shape, random);
  const size_t n_out = (shape.n_queries - 1) * attention.stride + shape.head_dim;
  const std::vector<float> zeros(n_out, 0.0f);
  std::vector<float> sums(shape.n_queries), sums_alone(shape.n_queries);
  Guarded<float> out(zeros), alone(zeros);
  attention.run(table, 0, shape.n_queries, out, sums);
  bool all_near = true, untouched = true;
  double squares = 0.0, allowed_squares = 0.0;
  const Errors errors = Cache::errors(table);
  std::vector<double> expected;
  for (size_t i = 0; i < shape.n_queries; ++i) {
    double largest_score = 0.0, norms = 0.0;
    attention.expect(i, expected, largest_score, norms);
    // Values within 2; the scores' own error of some ulps counts once more in the exponent.
    const double floats = 3e-6 * (1.0 + std::fabs(largest_score));
    for (size_t d = 0; d < shape.head_dim; ++d) {
      const double actual = out[i * attention.stride + d] / sums[i];
      all_near = all_near && near(actual, expected[d], floats + errors.largest + errors.of_norms * norms);
      squares += std::pow(actual - expected[d], 2);
      allowed_squares += std::pow(floats + errors.rms + errors.of_norms * norms / 4, 2);
    }
    if (i + 1 < shape.n_queries) {
      for (size_t d = shape.head_dim; d < attention.stride; ++d) {
        untouched = untouched && out[i * attention.stride + d] == 0.0f;
      }
    }
    attention.run(table, i, i + 1, alone, sums_alone);
  }
  checks.that(squares <= allowed_squares, "attend_page_%s queries=%zu positions=%zu head_dim=%zu: RMS %.2g of it",
              Cache::kName, shape.n_queries, shape.n_positions, shape.head_dim, std::sqrt(squares / allowed_squares));
  checks.that(all_near, "attend_page_%s queries=%zu positions=%zu+%zu pages=%zu head_dim=%zu", Cache::kName,
              shape.n_queries, shape.n_positions, shape.more, shape.n_pages, shape.head_dim);
  checks.that(untouched, "attend_page_%s head_dim=%zu: wrote between the rows", Cache::kName, shape.head_dim);
  checks.that(same_bits(out.data(), alone.data(), n_out) && sums == sums_alone,
              "attend_page_%s queries=%zu positions=%zu head_dim=%zu: bits depend on the other queries", Cache::kName,
              shape.n_queries, shape.n_positions, shape.head_dim);
}

// What is not finite in a key or a value shows in the queries that see it, and in no other.
template <class Cache>
void check_nan(const KernelTable& table, bool in_key, Random& random, Checks& checks) {
  const size_t n_queries = 5, head_dim = 48, position = 13;  // of the last page, which query i sees up to 11 + i
  Attention<Cache> attention({n_queries, 11, 2, head_dim, 0, 0.0f, 1}, random);
  std::vector<float> sums(n_queries), sums_before(n_queries);
  Guarded<float> out(std::vector<float>(n_queries * head_dim, 0.0f)),
      before(std::vector<float>(n_queries * head_dim, 0.0f));
  attention.run(table, 0, n_queries, before, sums_before);
  if (in_key) Cache::spoil_key(attention.keys[1].data(), head_dim, position);
  else Cache::spoil_value(attention.values[1].data(), head_dim, position);
  attention.run(table, 0, n_queries, out, sums);
  bool visible = true, contained = true;
  for (size_t i = 0; i < n_queries; ++i) {
    for (size_t d = 0; d < head_dim; ++d) {
      const float is = out[i * head_dim + d] / sums[i];
      if (11 + i > position) visible = visible && std::isnan(is);
      else contained = contained && same_bits(&out[i * head_dim + d], &before[i * head_dim + d], 1);
    }
  }
  checks.that(visible, "attend_page_%s: a NaN %s vanished", Cache::kName, in_key ? "key" : "value");
  checks.that(contained, "attend_page_%s: a NaN %s reached queries that do not see it", Cache::kName,
              in_key ? "key" : "value");
}

template <class Cache>
void check_cache(const KernelTable& table, Checks& checks) {
  Random random(3);
  for (size_t head_dim : {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 48, 64, 80, 96, 100, 128, 160, 172, 256, 300}) {
    for (size_t n_positions : {1, 2, 3, 4, 5, 7, 9, 17, 31, 32}) {
      const size_t n_queries = 1 + random.below(9), padding = random.below(3);
      check_case<Cache>(table, {n_queries, n_positions, 1, head_dim, padding, 0.0f}, random, checks);
    }
    check_case<Cache>(table, {3, 11, 3, head_dim, 2, 0.25f}, random, checks);
    for (size_t n_queries : {2, 3, 4, 5, 8, 13, 32}) {  // a page in which the queries' own positions lie
      const size_t n_positions = 1 + random.below(kPageTokens - n_queries + 1);
      check_case<Cache>(table, {n_queries, n_positions, 2, head_dim, 1, 0.25f, 1}, random, checks);
    }
  }
  for (size_t n_queries : {1, 2, 3, 4, 5, 8, 15, 31, 32}) {
    check_case<Cache>(table, {n_queries, kPageTokens, 2, 128, 5, 0.5f}, random, checks);
    check_case<Cache>(table, {n_queries, 19, 1, 72, 0, 0.0f}, random, checks);
  }
  check_nan<Cache>(table, true, random, checks);
  check_nan<Cache>(table, false, random, checks);
}

}  // namespace

void test_attention(const KernelTable& table, Checks& checks) {
  check_cache<F32Cache>(table, checks);
  check_cache<F16Cache>(table, checks);
  check_cache<Q8Cache>(table, checks);
  Random random(4);  // queries in more than one piece
  check_case<Q8Cache>(table, {3, 20, 2, 2050, 0, 0.0f}, random, checks);
}

}  // namespace belle_test
