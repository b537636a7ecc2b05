// Attention over cached positions, f32 and f16: values, tails, strides, and bits that no split changes.
#include <cmath>

#include "core/half.h"
#include "support.h"

namespace belle_test {
namespace {

using belle::KernelTable;

// The two caches behind one interface.
struct F32Cache {
  using Element = float;
  static constexpr const char* kName = "f32";
  static Element store(float value) { return value; }
  static double value(Element element) { return element; }
  static void scores(const KernelTable& t, const float* q, const Element* keys, size_t n, size_t head_dim,
                     size_t stride, float* out) {
    t.attention_scores_f32(q, keys, n, head_dim, stride, out);
  }
  static void values(const KernelTable& t, const float* probs, const Element* values, size_t n, size_t head_dim,
                     size_t stride, float* out) {
    t.attention_values_f32(probs, values, n, head_dim, stride, out);
  }
};

struct F16Cache {
  using Element = uint16_t;
  static constexpr const char* kName = "f16";
  static Element store(float value) { return belle::float_to_half(value); }
  static double value(Element element) { return belle::half_to_float(element); }
  static void scores(const KernelTable& t, const float* q, const Element* keys, size_t n, size_t head_dim,
                     size_t stride, float* out) {
    t.attention_scores_f16(q, keys, n, head_dim, stride, out);
  }
  static void values(const KernelTable& t, const float* probs, const Element* values, size_t n, size_t head_dim,
                     size_t stride, float* out) {
    t.attention_values_f16(probs, values, n, head_dim, stride, out);
  }
};

template <class Cache>
std::vector<typename Cache::Element> random_cache(size_t n, Random& random) {
  std::vector<typename Cache::Element> cache(n);
  for (auto& element : cache) {
    element = Cache::store(random.uniform(-2.0f, 2.0f) * (random.below(10) == 0 ? 1e-6f : 1.0f));
  }
  return cache;
}

template <class Cache>
void check_scores(const KernelTable& table, size_t n, size_t head_dim, size_t stride, Random& random, Checks& checks) {
  const Guarded<float> q(random.floats(head_dim, -2.0f, 2.0f));
  const Guarded<typename Cache::Element> keys(random_cache<Cache>((n - 1) * stride + head_dim, random));
  Guarded<float> scores(n);
  Cache::scores(table, q.data(), keys.data(), n, head_dim, stride, scores.data());
  bool all_near = true, same = true;
  for (size_t i = 0; i < n; ++i) {
    double expected = 0.0, size = 0.0;
    for (size_t d = 0; d < head_dim; ++d) {
      const double product = q[d] * Cache::value(keys[i * stride + d]);
      expected += product;
      size += std::fabs(product);
    }
    all_near = all_near && near(scores[i], expected, 16 * kFloatEps * size);
    float alone = 0.0f;
    Cache::scores(table, q.data(), keys.data() + i * stride, 1, head_dim, stride, &alone);
    same = same && same_bits(&alone, &scores[i], 1);
  }
  checks.that(all_near, "attention_scores_%s n=%zu head_dim=%zu", Cache::kName, n, head_dim);
  checks.that(same, "attention_scores_%s n=%zu head_dim=%zu: bits depend on the run", Cache::kName, n, head_dim);
}

template <class Cache>
void check_values(const KernelTable& table, size_t n, size_t head_dim, size_t stride, Random& random, Checks& checks) {
  const Guarded<float> probs(random.floats(n, 0.0f, 1.0f));
  const Guarded<typename Cache::Element> values(random_cache<Cache>((n - 1) * stride + head_dim, random));
  const std::vector<float> before = random.floats(head_dim, -1.0f, 1.0f);  // the kernel adds to what is there
  Guarded<float> out(before), in_two(before);
  Cache::values(table, probs.data(), values.data(), n, head_dim, stride, out.data());
  bool all_near = true;
  for (size_t d = 0; d < head_dim; ++d) {
    double expected = before[d], size = std::fabs(expected);
    for (size_t i = 0; i < n; ++i) {
      const double product = probs[i] * Cache::value(values[i * stride + d]);
      expected += product;
      size += std::fabs(product);
    }
    all_near = all_near && near(out[d], expected, static_cast<double>(n + 2) * kFloatEps * size);
  }
  const size_t split = n / 3;
  Cache::values(table, probs.data(), values.data(), split, head_dim, stride, in_two.data());
  Cache::values(table, probs.data() + split, values.data() + split * stride, n - split, head_dim, stride,
                in_two.data());
  checks.that(all_near, "attention_values_%s n=%zu head_dim=%zu", Cache::kName, n, head_dim);
  checks.that(same_bits(out.data(), in_two.data(), head_dim), "attention_values_%s n=%zu head_dim=%zu: split",
              Cache::kName, n, head_dim);
}

template <class Cache>
void check_cache(const KernelTable& table, Checks& checks) {
  Random random(3);
  for (size_t head_dim : {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 48, 64, 80, 96, 100, 128, 160, 172, 256, 300}) {
    for (size_t n : {1, 2, 3, 4, 5, 7, 9, 33}) {
      for (size_t stride : {head_dim, 3 * head_dim + 1}) {
        check_scores<Cache>(table, n, head_dim, stride, random, checks);
        check_values<Cache>(table, n, head_dim, stride, random, checks);
      }
    }
  }
}

}  // namespace

void test_attention(const KernelTable& table, Checks& checks) {
  check_cache<F32Cache>(table, checks);
  check_cache<F16Cache>(table, checks);
}

}  // namespace belle_test
