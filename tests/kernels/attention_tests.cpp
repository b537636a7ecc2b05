// One page of attention, f32 and f16: values against doubles, tails, strides, pages in sequence, and bits that neither
// the other queries nor the tile change.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/half.h"
#include "support.h"

namespace belle_test {
namespace {

using belle::AttentionPage;
using belle::KernelTable;
using belle::kMaxQueries;
using belle::kPageTokens;

// The two caches behind one interface.
struct F32Cache {
  using Element = float;
  static constexpr const char* kName = "f32";
  static Element store(float value) { return value; }
  static double value(Element element) { return element; }
  static void attend(const KernelTable& t, const AttentionPage& page) { t.attend_page_f32(page); }
};

struct F16Cache {
  using Element = uint16_t;
  static constexpr const char* kName = "f16";
  static Element store(float value) { return belle::float_to_half(value); }
  static double value(Element element) { return belle::half_to_float(element); }
  static void attend(const KernelTable& t, const AttentionPage& page) { t.attend_page_f16(page); }
};

template <class Cache>
std::vector<typename Cache::Element> random_cache(size_t n, Random& random) {
  std::vector<typename Cache::Element> cache(n);
  for (auto& element : cache) {
    element = Cache::store(random.uniform(-2.0f, 2.0f) * (random.below(10) == 0 ? 1e-6f : 1.0f));
  }
  return cache;
}

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
        keys(random_cache<Cache>(shape.n_pages * kPageTokens * shape.head_dim, random)),
        values(random_cache<Cache>(shape.n_pages * kPageTokens * shape.head_dim, random)),
        first_position(shape.n_pages * kPageTokens + 3) {}

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
      const size_t n_positions = positions_of(page, end - 1), at = page * kPageTokens * shape.head_dim;
      const auto first = keys.begin() + static_cast<std::ptrdiff_t>(at);
      const auto first_value = values.begin() + static_cast<std::ptrdiff_t>(at);
      const auto n_keys = static_cast<std::ptrdiff_t>(kPageTokens * shape.head_dim);
      const auto n_values = static_cast<std::ptrdiff_t>(n_positions * shape.head_dim);
      Guarded<typename Cache::Element> page_keys({first, first + n_keys});
      for (size_t i = 0; i < page_keys.size(); ++i) {  // what is in the free slots must not matter
        if (i % kPageTokens >= n_positions) page_keys[i] = Cache::store(std::numeric_limits<float>::quiet_NaN());
      }
      const Guarded<typename Cache::Element> page_values({first_value, first_value + n_values});
      const void* next_keys = last(page) ? nullptr : page_keys.data();  // to be asked for, never to be read
      Cache::attend(
          table, {q.data() + begin * stride, stride, n, page_keys.data(), page_values.data(), next_keys,
                  positions_of(page, begin), last(page) ? shape.more : 0, shape.head_dim, scale, shape.slope,
                  distance(page, begin), out.data() + begin * stride, stride, running_max.data(), denominators.data()});
    }
    for (size_t i = 0; i < n; ++i) sums[begin + i] = denominators[i];
  }

  // The softmax in doubles: out[d] and the size of its terms.
  void expect(size_t query, std::vector<double>& out, double& largest_score) const {
    std::vector<double> scores, positions;
    for (size_t page = 0; page < shape.n_pages; ++page) {
      for (size_t i = 0; i < positions_of(page, query); ++i) {
        const size_t position = page * kPageTokens + i;
        double score = 0.0;
        for (size_t d = 0; d < shape.head_dim; ++d) {
          score +=
              q[query * stride + d] * Cache::value(keys[page * kPageTokens * shape.head_dim + d * kPageTokens + i]);
        }
        scores.push_back(score * scale + shape.slope * (distance(page, query) + static_cast<double>(i)));
        positions.push_back(static_cast<double>(position));
      }
    }
    largest_score = *std::max_element(scores.begin(), scores.end());
    double denominator = 0.0;
    out.assign(shape.head_dim, 0.0);
    for (size_t i = 0; i < scores.size(); ++i) {
      const double weight = std::exp(scores[i] - largest_score);
      denominator += weight;
      for (size_t d = 0; d < shape.head_dim; ++d) {
        out[d] += weight * Cache::value(values[static_cast<size_t>(positions[i]) * shape.head_dim + d]);
      }
    }
    for (double& value : out) value /= denominator;
  }

  Case shape;
  size_t stride;
  float scale;
  Guarded<float> q;
  std::vector<typename Cache::Element> keys;    // [n_pages, head_dim, kPageTokens]
  std::vector<typename Cache::Element> values;  // [n_pages, kPageTokens, head_dim]
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
  std::vector<double> expected;
  for (size_t i = 0; i < shape.n_queries; ++i) {
    double largest_score = 0.0;
    attention.expect(i, expected, largest_score);
    // Values within 2; the scores' own error of some ulps counts once more in the exponent.
    const double tolerance = 3e-6 * (1.0 + std::fabs(largest_score));
    for (size_t d = 0; d < shape.head_dim; ++d) {
      all_near = all_near && near(out[i * attention.stride + d] / sums[i], expected[d], tolerance);
    }
    if (i + 1 < shape.n_queries) {
      for (size_t d = shape.head_dim; d < attention.stride; ++d) {
        untouched = untouched && out[i * attention.stride + d] == 0.0f;
      }
    }
    attention.run(table, i, i + 1, alone, sums_alone);
  }
  checks.that(all_near, "attend_page_%s queries=%zu positions=%zu+%zu pages=%zu head_dim=%zu", Cache::kName,
              shape.n_queries, shape.n_positions, shape.more, shape.n_pages, shape.head_dim);
  checks.that(untouched, "attend_page_%s head_dim=%zu: wrote between the rows", Cache::kName, shape.head_dim);
  checks.that(same_bits(out.data(), alone.data(), n_out) && sums == sums_alone,
              "attend_page_%s queries=%zu positions=%zu head_dim=%zu: bits depend on the other queries", Cache::kName,
              shape.n_queries, shape.n_positions, shape.head_dim);
}

// A NaN in a key shows in the queries that see it.
template <class Cache>
void check_nan(const KernelTable& table, Random& random, Checks& checks) {
  Attention<Cache> attention({5, kPageTokens, 2, 48, 0, 0.0f}, random);
  attention.keys[7 * kPageTokens] = Cache::store(std::numeric_limits<float>::quiet_NaN());
  Guarded<float> out(std::vector<float>(5 * 48, 0.0f));
  std::vector<float> sums(5);
  attention.run(table, 0, 5, out, sums);
  bool all_nan = true;
  for (size_t i = 0; i < out.size(); ++i) all_nan = all_nan && std::isnan(out[i] / sums[i / 48]);
  checks.that(all_nan, "attend_page_%s: a NaN key vanished", Cache::kName);
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
  check_nan<Cache>(table, random, checks);
}

}  // namespace

void test_attention(const KernelTable& table, Checks& checks) {
  check_cache<F32Cache>(table, checks);
  check_cache<F16Cache>(table, checks);
}

}  // namespace belle_test
