// The matrix products of a vector tier's table: every weight type of formats/formats.h.
#pragma once

#include "kernels/formats/formats.h"
#include "kernels/generic/float_matmul.h"
#include "kernels/generic/integer_peak.h"
#include "kernels/generic/quantized_matmul.h"
#include "kernels/table.h"

namespace belle {
namespace {

template <class Tier>
constexpr void set_products(KernelTable& table) noexcept {
  for_each_format(FloatElements{}, [&](auto element) {
    using Element = decltype(element);
    table.matmul[kIndexOf<Element>] = float_matmul<Tier, Element>;
  });
  for_each_format(QuantizedFormats{}, [&](auto format) {
    using Format = decltype(format);
    table.matmul[kIndexOf<Format>] = quantized_matmul<Tier, Format, contains<Format>(TiledFormats{})>;
  });
  table.reads_ahead = true;
  table.integer_peak = integer_peak<typename Tier::PeakMultiply>;
}

constexpr const WideKernels*& wide_of(KernelTable& table, ActivationForm form) noexcept {
  return table.wide[static_cast<size_t>(form)];
}

}  // namespace
}  // namespace belle
