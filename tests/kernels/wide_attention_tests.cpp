// Attention of prompts: against the softmax in doubles, the same bits however the queries are cut into calls, and
// nothing that lies in free slots or outside the buffers matters.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "core/half.h"
#include "kernels/byte_page.h"
#include "support.h"

namespace belle_test {
namespace {

using belle::kMaxWideQueries;
using belle::kPageTokens;
using belle::WideAttentionKernel;

constexpr float kUntouched = -12345.0f;

enum class Cache { kF16, kQ8 };
const char* name_of(Cache cache) { return cache == Cache::kF16 ? "f16" : "q8"; }

/// What a query's scores can get wrong.
struct ScoreSizes {
  double largest;  // magnitude of the largest score
  double norms;    // of the query, times the largest of the keys it sees, times the scale
};

/// What an output may differ by, for values up to 2.
struct ErrorBounds {
  double largest, rms;     // whatever the scores
  double score, of_norms;  // more for each 1 + |largest score|, and for each 1 of ScoreSizes::norms; RMS: a quarter

  double from(const ScoreSizes& sizes) const { return score * (1.0 + sizes.largest) + of_norms * sizes.norms; }
};

/// Words round values and probabilities to 1/8191 of the largest ones, by half a step at most: 1.2e-4 each; queries and
/// keys, in norm, by 1e-5.
ErrorBounds error_bounds(const WideAttentionKernel& kernel) {
  if (std::strcmp(kernel.numbers, "int16") == 0) return {7e-4, 1e-4, 2e-5, 2e-5};
  return {0.0, 0.0, 2e-5, 0.0};
}

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Case {
  size_t n_queries;
  size_t first_position;
  size_t head_dim;
  size_t padding = 0;  // between the rows of q and of out
  float slope = 0.0f;
  float query_size = 2.0f;
  bool keys_last = false;  // of a page: before its guard
  Cache cache = Cache::kF16;

  Case over(Cache type) const {
    Case same = *this;
    same.cache = type;
    return same;
  }
};

/// The cache of one sequence and its queries. A page ends at its last key, or at the last value that any query sees.
class Prompt {
 public:
  Prompt(const Case& shape, Random& random)
      : shape(shape),
        stride(shape.head_dim + shape.padding),
        scale(1.0f / std::sqrt(static_cast<float>(shape.head_dim))),
        n_positions(shape.first_position + shape.n_queries),
        q(random.floats((shape.n_queries - 1) * stride + shape.head_dim, -shape.query_size, shape.query_size)) {
    const bool halves = shape.cache == Cache::kF16;
    const size_t gap = halves ? 6 : 8, keys_bytes = halves ? 2 * kPageTokens * shape.head_dim
                                                           : belle::key_scales_at(shape.head_dim) + belle::kScalesBytes;
    const size_t all_values =
        halves ? 2 * kPageTokens * shape.head_dim : belle::value_scales_at(shape.head_dim) + belle::kScalesBytes;
    keys_offset_ = gap + (shape.keys_last ? all_values : 0);
    values_offset_ = gap + (shape.keys_last ? 0 : keys_bytes);
    for (size_t first = 0; first < n_positions; first += kPageTokens) {
      const size_t seen = std::min(kPageTokens, n_positions - first);
      const size_t last_values = halves && !shape.keys_last ? 2 * seen * shape.head_dim : all_values;
      pages_.push_back(std::make_unique<Guarded<uint8_t>>(gap + keys_bytes + last_values));
      table_.push_back(pages_.back()->data());
      std::memset(table_.back(), halves ? 0x7e : 0xff, pages_.back()->size());  // numbers or scales: NaN
    }
    keys_.resize(n_positions * shape.head_dim);
    values_.resize(keys_.size());
    for (size_t position = 0; position < n_positions; ++position) {
      for (size_t d = 0; d < shape.head_dim; ++d) {
        set_key(position, d, random.uniform(-2.0f, 2.0f) * (random.below(10) == 0 ? 1e-6f : 1.0f));
        set_value(position, d, random.uniform(-2.0f, 2.0f) * (random.below(10) == 0 ? 1e-6f : 1.0f));
      }
    }
  }

  size_t n_out() const { return (shape.n_queries - 1) * stride + shape.head_dim; }
  void set_key(size_t position, size_t d, float x) {
    keys_[position * shape.head_dim + d] = x;
    changed_ = true;
  }
  void set_value(size_t position, size_t d, float x) {
    values_[position * shape.head_dim + d] = x;
    changed_ = true;
  }

  /// Queries [begin, end) in one call, with scratch of its own that holds garbage.
  void run(const WideAttentionKernel& kernel, size_t begin, size_t end, float* out) {
    store();
    Guarded<uint8_t> scratch(kernel.scratch_bytes(shape.head_dim));
    std::memset(scratch.data(), 0xff, scratch.size());  // as floats: NaN
    belle::WideAttention args{};
    args.q = q.data() + begin * stride;
    args.q_stride = stride;
    args.n_queries = end - begin;
    args.first_position = shape.first_position + begin;
    args.pages = table_.data();
    args.keys_offset = keys_offset_;
    args.values_offset = values_offset_;
    args.head_dim = shape.head_dim;
    args.scale = scale;
    args.slope = shape.slope;
    args.out = out + begin * stride;
    args.out_stride = stride;
    args.scratch = scratch.data();
    (shape.cache == Cache::kF16 ? kernel.attend_f16 : kernel.attend_q8)(args);
  }

  std::vector<float> attended(const WideAttentionKernel& kernel) {
    Guarded<float> out(std::vector<float>(n_out(), kUntouched));
    run(kernel, 0, shape.n_queries, out.data());
    return {out.data(), out.data() + out.size()};
  }

  /// The softmax in doubles.
  std::vector<double> exact(size_t query, ScoreSizes& sizes) {
    store();
    const size_t n_seen = shape.first_position + query + 1;
    std::vector<double> scores(n_seen), out(shape.head_dim, 0.0);
    double query_square = 0.0, largest_key_square = 0.0;
    for (size_t d = 0; d < shape.head_dim; ++d) query_square += std::pow(q[query * stride + d], 2);
    for (size_t position = 0; position < n_seen; ++position) {
      double score = 0.0, key_square = 0.0;
      for (size_t d = 0; d < shape.head_dim; ++d) {
        const double key = keys_[position * shape.head_dim + d];
        score += static_cast<double>(q[query * stride + d]) * key;
        key_square += key * key;
      }
      largest_key_square = std::max(largest_key_square, key_square);
      const double away = static_cast<double>(position) - static_cast<double>(n_seen - 1);
      scores[position] = score * scale + shape.slope * away;
    }
    const double largest_score = *std::max_element(scores.begin(), scores.end());
    sizes = {std::fabs(largest_score), std::sqrt(query_square * largest_key_square) * scale};
    double denominator = 0.0;
    for (size_t position = 0; position < n_seen; ++position) {
      const double weight = std::exp(scores[position] - largest_score);
      denominator += weight;
      for (size_t d = 0; d < shape.head_dim; ++d) out[d] += weight * values_[position * shape.head_dim + d];
    }
    for (double& value : out) value /= denominator;
    return out;
  }

  const Case shape;
  const size_t stride;
  const float scale;
  const size_t n_positions;
  Guarded<float> q;

 private:
  // The pages get all numbers, and the numbers become what the pages hold.
  void store() {
    for (size_t position = 0; position < n_positions && changed_; ++position) {
      const size_t slot = position % kPageTokens, head_dim = shape.head_dim;
      uint8_t* keys = table_[position / kPageTokens] + keys_offset_;
      uint8_t* values = table_[position / kPageTokens] + values_offset_;
      float *key = &keys_[position * head_dim], *value = &values_[position * head_dim];
      if (shape.cache == Cache::kF16) {
        for (size_t d = 0; d < head_dim; ++d) {
          put_half(keys + 2 * (d * kPageTokens + slot), key[d]);
          put_half(values + 2 * (slot * head_dim + d), value[d]);
        }
        continue;
      }
      put_bytes(key, keys + belle::key_scales_at(head_dim) + slot * sizeof(float),
                [&](size_t d) -> uint8_t& { return keys[belle::key_byte_at(d, slot)]; });
      put_bytes(value, values + belle::value_scales_at(head_dim) + slot * sizeof(float),
                [&](size_t d) -> uint8_t& { return values[belle::value_byte_at(d, slot, head_dim)]; });
    }
    changed_ = false;
  }

  static void put_half(uint8_t* at, float& x) {
    const uint16_t half = belle::float_to_half(x);
    std::memcpy(at, &half, sizeof half);
    x = belle::half_to_float(half);
  }

  template <class ByteAt>
  void put_bytes(float* row, uint8_t* scale_at, ByteAt byte_at) const {
    float largest = 0.0f;
    bool finite = true;
    for (size_t d = 0; d < shape.head_dim; ++d) {
      largest = std::max(largest, std::fabs(row[d]));
      finite = finite && std::isfinite(row[d]);
    }
    const float scale = finite ? largest / 127.0f : kNan;
    std::memcpy(scale_at, &scale, sizeof scale);
    for (size_t d = 0; d < shape.head_dim; ++d) {
      const float number = scale > 0.0f ? std::nearbyint(row[d] / scale) : 0.0f;
      byte_at(d) = static_cast<uint8_t>(static_cast<int>(number) + belle::kZeroByte);
      row[d] = number * scale;
    }
  }

  size_t keys_offset_ = 0, values_offset_ = 0;
  std::vector<std::unique_ptr<Guarded<uint8_t>>> pages_;
  std::vector<uint8_t*> table_;
  std::vector<float> keys_, values_;  // [n_positions][head_dim]
  bool changed_ = true;               // since they were stored
};

void check_cut(const WideAttentionKernel& kernel, Prompt& prompt, const std::vector<float>& whole,
               const std::vector<size_t>& sizes, Checks& checks) {
  const size_t n_queries = prompt.shape.n_queries;
  Guarded<float> out(std::vector<float>(prompt.n_out(), kUntouched));
  for (size_t begin = 0, turn = 0; begin < n_queries; ++turn) {
    const size_t end = std::min(n_queries, begin + sizes[turn % sizes.size()]);
    prompt.run(kernel, begin, end, out.data());
    begin = end;
  }
  checks.that(same_bits(out.data(), whole.data(), whole.size()),
              "wide attention %s queries=%zu first=%zu head_dim=%zu: bits depend on the cut",
              name_of(prompt.shape.cache), n_queries, prompt.shape.first_position, prompt.shape.head_dim);
}

std::vector<float> check_exact(const WideAttentionKernel& kernel, Prompt& prompt, const char* what, Checks& checks) {
  const Case& shape = prompt.shape;
  std::vector<float> out = prompt.attended(kernel);
  const ErrorBounds bounds = error_bounds(kernel);
  double worst = 0.0, squares = 0.0, allowed_squares = 0.0;
  bool untouched = true;
  for (size_t i = 0; i < shape.n_queries; ++i) {
    ScoreSizes sizes{};
    const std::vector<double> exact = prompt.exact(i, sizes);
    for (size_t d = 0; d < shape.head_dim; ++d) {
      const double error = std::fabs(out[i * prompt.stride + d] - exact[d]);
      const double excess = error / (bounds.largest + bounds.from(sizes));
      worst = excess <= worst ? worst : excess;  // NaN wins
      squares += error * error;
      allowed_squares += std::pow(bounds.rms + bounds.from(sizes) / 4, 2);
    }
    if (i + 1 == shape.n_queries) continue;
    for (size_t d = shape.head_dim; d < prompt.stride; ++d) {
      untouched = untouched && out[i * prompt.stride + d] == kUntouched;
    }
  }
  const double rms = std::sqrt(squares / allowed_squares);
  checks.that(worst < 1.0 && rms < 1.0,
              "%s %s queries=%zu first=%zu head_dim=%zu slope=%g: error %.2g of what is allowed, RMS %.2g of it", what,
              name_of(shape.cache), shape.n_queries, shape.first_position, shape.head_dim,
              static_cast<double>(shape.slope), worst, rms);
  checks.that(untouched, "%s head_dim=%zu: wrote between the rows", what, shape.head_dim);
  return out;
}

void check_case(const WideAttentionKernel& kernel, const Case& shape, Random& random, Checks& checks) {
  Prompt prompt(shape, random);
  const std::vector<float> out = check_exact(kernel, prompt, "wide attention", checks);
  const size_t some = 1 + random.below(40), more = 1 + random.below(40);
  check_cut(kernel, prompt, out, {some, more}, checks);
}

// What sums of whole numbers could overflow or lose: everything as large as it gets, with one sign; a single column
// that holds all; columns and positions that outweigh the others; queries too small or large to be squared.
void check_extremes(const WideAttentionKernel& kernel, Cache cache, Random& random, Checks& checks) {
  // Each of the functions gives an element from its query or position and its column.
  const auto check = [&](const Case& shape, const char* what, auto query, auto key, auto value) {
    Prompt prompt(shape.over(cache), random);
    for (size_t d = 0; d < shape.head_dim; ++d) {
      for (size_t i = 0; i < shape.n_queries; ++i) prompt.q[i * prompt.stride + d] = query(i, d);
      for (size_t position = 0; position < prompt.n_positions; ++position) {
        prompt.set_key(position, d, key(position, d));
        prompt.set_value(position, d, value(position, d));
      }
    }
    check_exact(kernel, prompt, what, checks);
  };
  const auto small = [&](size_t, size_t) { return random.uniform(-2.0f, 2.0f); };
  const auto alike = [](float x) { return [x](size_t, size_t) { return x; }; };
  const auto in_column = [](size_t column, float x) {
    return [=](size_t, size_t d) { return d == column ? x : 0.0f; };
  };
  for (size_t head_dim : {1, 2, 127, 128, 255, 256}) {
    const Case shape = {40, 57, head_dim};
    for (float sign : {1.0f, -1.0f}) check(shape, "all alike", alike(1.0f), alike(sign), alike(2.0f * sign));
    const auto one = in_column(head_dim / 2, 2.0f);
    check(shape, "one column", one, one, one);
    check(shape, "zero queries", alike(0.0f), small, small);
    check(shape, "zero keys", small, alike(0.0f), small);
    check(shape, "zero values", small, small, alike(0.0f));
    check(shape, "tiny queries", alike(1e-38f), small, small);
    const auto rising = [](size_t position, size_t d) { return d == 0 ? 0.25f * static_cast<float>(position) : 0.0f; };
    check(shape, "huge queries", in_column(0, 1e25f), rising, small);
  }
  const Case shape = {90, 200, 128};
  const auto outlier = [&](size_t, size_t d) { return random.uniform(-1.0f, 1.0f) * (d == 5 ? 20.0f : 0.5f); };
  check(shape, "outlier columns", outlier, outlier, small);
  const auto sink_key = [](size_t position, size_t) { return position % 32 == 0 ? 1.0f : 0.0f; };
  const auto sink_value = [&](size_t position, size_t) {
    return position % 32 == 0 ? 1e-3f : random.uniform(-2.0f, 2.0f);
  };
  for (float strength : {0.2f, 0.5f, 0.8f, 1.2f}) {  // the sinks' scores: 2.3 to 14
    check(shape, "sinks", alike(strength), sink_key, sink_value);
  }
}

// What is not finite shows in the queries that see it, and changes no bit of the others.
void check_not_finite(const WideAttentionKernel& kernel, Cache cache, float bad, bool in_key, Checks& checks) {
  const bool whole_row = in_key || cache == Cache::kQ8;
  Random random(17);
  const size_t n_queries = 70, first_position = 21, head_dim = 72, position = 50, column = 37;
  Prompt prompt(Case{n_queries, first_position, head_dim, 3, 0.125f}.over(cache), random);
  const std::vector<float> before = prompt.attended(kernel);
  if (in_key) prompt.set_key(position, column, bad);
  else prompt.set_value(position, column, bad);
  const std::vector<float> after = prompt.attended(kernel);
  bool visible = true, contained = true;
  for (size_t i = 0; i < n_queries; ++i) {
    for (size_t d = 0; d < head_dim; ++d) {
      const float* was = &before[i * prompt.stride + d];
      const float* is = &after[i * prompt.stride + d];
      if (first_position + i >= position && (whole_row || d == column)) visible = visible && std::isnan(*is);
      else contained = contained && same_bits(was, is, 1);
    }
  }
  checks.that(visible, "wide attention: %g in a %s vanished", static_cast<double>(bad), in_key ? "key" : "value");
  checks.that(contained, "wide attention: %g in a %s reached queries that do not see it", static_cast<double>(bad),
              in_key ? "key" : "value");
  check_cut(kernel, prompt, after, {29, 1, 13}, checks);
}

// Products below the smallest float become zeros of either sign: slots that only other queries see must not choose it.
// The first page counts for nothing beside position 32, whose value is zero. The others have probabilities between
// 2^-117 and 2^-116, and their products with such small values vanish.
void check_zeros(const WideAttentionKernel& kernel, Random& random, Checks& checks) {
  for (float key = -10.1328125f; key < -10.0546875f; key += 0.0078125f) {
    Prompt prompt({64, 0, 1, 0, 0.0f, 0.0f}, random);
    for (size_t i = 0; i < prompt.q.size(); ++i) prompt.q[i] = 8.0f;
    for (size_t position = 0; position < prompt.n_positions; ++position) {
      prompt.set_key(position, 0, position < 32 ? -20.0f : position == 32 ? 0.0f : key);
      prompt.set_value(position, 0, position == 32 ? 0.0f : -0.00097751617431640625f);
    }
    const std::vector<float> out = prompt.attended(kernel);
    checks.that(out[63] == 0.0f, "wide attention: %g is not zero", static_cast<double>(out[63]));
    check_cut(kernel, prompt, out, {1}, checks);
  }
}

void check_cache(const WideAttentionKernel& kernel, Cache cache, Checks& checks) {
  Random random(16);
  const auto check = [&](const Case& shape) { check_case(kernel, shape.over(cache), random, checks); };
  for (size_t head_dim : {1, 2, 3, 7, 16, 17, 31, 32, 33, 64, 80, 96, 100, 128, 160, 200, 256}) {
    check({1, 0, head_dim});
    check({33, 31, head_dim, 5, 0.25f, 2.0f, true});
    check({1 + random.below(60), random.below(100), head_dim, random.below(3)});
  }
  const size_t step = cache == Cache::kF16 ? 7 : 31;  // q8 differs in how a page is packed, which queries share
  for (size_t n_queries = 1; n_queries <= kMaxWideQueries;
       n_queries += n_queries < 36 || n_queries > kMaxWideQueries - 8 ? 1 : step) {
    const bool alibi = n_queries % 2 == 0;
    check({n_queries, random.below(70), 40, 1, alibi ? 0.5f : 0.0f, 2.0f, alibi});
  }
  for (size_t first_position : {0, 1, 15, 16, 30, 31, 32, 33, 63, 64, 65, 95, 300, 1000}) {
    check({20, first_position, 48, 0, 0.03125f});
  }
  for (float query_size : {1e-3f, 20.0f, 200.0f})
    check({50, 40, 128, 0, 0.0f, query_size});  // flat and sharp softmaxes
  check({kMaxWideQueries, 100, 128, 0, 0.0625f});
  for (float bad : {kNan, kInfinity, -kInfinity}) {
    check_not_finite(kernel, cache, bad, true, checks);
    check_not_finite(kernel, cache, bad, false, checks);
  }
  check_extremes(kernel, cache, random, checks);
}

}  // namespace

void test_wide_attention(const belle::KernelTable& table, Checks& checks) {
  if (table.wide_attention == nullptr) return;
  const WideAttentionKernel& kernel = *table.wide_attention;
  checks.that(kernel.max_head_dim >= 256, "wide attention: heads of up to %zu", kernel.max_head_dim);
  check_cache(kernel, Cache::kF16, checks);
  check_cache(kernel, Cache::kQ8, checks);
  Random random(15);
  check_zeros(kernel, random, checks);
}

}  // namespace belle_test
