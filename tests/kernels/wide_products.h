// What the tests of wide kernels share: a form of activations with its bounds, one product, and its checks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "reference.h"

namespace belle_test {

struct Form {
  const char* name;
  const belle::WideKernels* kernels;
  // sqrt(mean((y - exact)^2 / sum_k (w x)^2)) stays below this for random weights and activations
  double rms_bound;
  double outlier_bound;  // the same with outlier channels among the activations
  size_t int8_columns;   // that share a scale of int8 activations; 0 where there is none
  bool takes_outliers;   // may keep columns out of its slabs
  double uneven_error;   // of the values of uneven codes, in 127ths of the largest one
  // A single output may be this many times the RMS bound off: the errors of thousands are nearly normal.
  static constexpr double kWorst = 8.0;

  bool has(belle::WeightType type) const { return kernels->matmul[static_cast<size_t>(type)] != nullptr; }
};

/// Tiles of tokens that a form packs.
inline size_t token_tiles(const Form& form, size_t n_tokens) {
  return (n_tokens + form.kernels->tile_tokens - 1) / form.kernels->tile_tokens;
}

/// Activations as a form packs them, outliers apart.
struct Packed {
  Guarded<uint8_t> bytes;
  Guarded<float> values;  // of the outliers
  belle::Outliers outliers;

  Packed(const Form& form, const float* x, size_t n_tokens, size_t k, const Guarded<uint32_t>& columns = no_columns())
      : bytes(form.kernels->packed_bytes(n_tokens, k)),
        values(n_tokens * columns.size()),
        outliers{columns.data(), columns.size(), values.data()} {
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = x[i / columns.size() * k + columns[i % columns.size()]];
    }
    std::memset(bytes.data(), 0xa5, bytes.size());
    form.kernels->pack({x, n_tokens, k, 0, token_tiles(form, n_tokens), bytes.data(), outliers});
  }

  static const Guarded<uint32_t>& no_columns() {
    static const Guarded<uint32_t> columns(size_t{0});
    return columns;
  }
};

/// y [n_tokens, y_stride] of one call, with scratch of its own that holds garbage.
void multiply(const Form& form, belle::WeightType type, const uint8_t* panels, size_t n_rows, size_t k,
              const Packed& packed, size_t n_tokens, float* y, size_t y_stride);

struct Exact {
  double value = 0.0, norm = 0.0;  // sum of w x, sqrt of the sum of (w x)^2
};

/// A row of the exact weights times activations, in double.
Exact exact_dot(const GgufMatrix& matrix, size_t row, const float* x);

/// y against the exact products: the RMS error within `rms_bound`, the worst one within a few times of it.
void check_values(const Form& form, const GgufMatrix& matrix, const Guarded<float>& x, size_t n_tokens,
                  const Guarded<float>& y, size_t y_stride, double rms_bound, Checks& checks);
/// Some of the tokens alone, and every share of rows alone, give the bits of the whole.
void check_invariance(const Form& form, const GgufMatrix& matrix, const Guarded<uint8_t>& image,
                      const Guarded<float>& x, size_t n_tokens, const Guarded<float>& y, size_t y_stride,
                      const Guarded<uint32_t>& outliers, Checks& checks);

/// A few channels much larger than the others, inside the slabs.
void test_outlier_channels(const Form& form, belle::WeightType type, Checks& checks);
/// Channels that are kept out of the slabs.
void check_outliers_apart(const Form& form, belle::WeightType type, size_t n_rows, size_t k, size_t n_tokens,
                          const std::vector<uint32_t>& columns, Checks& checks);
/// The same over odd shapes and all places of a unit.
void test_outliers_apart(const Form& form, belle::WeightType type, Checks& checks);

}  // namespace belle_test
