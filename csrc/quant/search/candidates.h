// The few values of a super-block's scale that are worth a closer look.
#pragma once

#include <cstddef>

#include "quant/search/sub_blocks.h"

namespace belle {
namespace {

constexpr int kDivisors = 20;  // of the largest sub-block's scale, tried for d
constexpr int kRounds = 2;     // of alternation between d and the sub-blocks' whole scales
constexpr float kNeighbours[] = {0.0f, -1.0f, 1.0f};

inline float larger_of(float a, float b) noexcept { return a > b ? a : b; }

/// The best `most` of those that were added.
template <size_t most>
class Candidates {
 public:
  void add(HalfScale d, float harm) noexcept {
    size_t at = size_;
    while (at > 0 && harm < harms_[at - 1]) --at;
    if (at == most) return;
    if (size_ < most) ++size_;
    for (size_t i = size_ - 1; i > at; --i) {
      scales_[i] = scales_[i - 1];
      harms_[i] = harms_[i - 1];
    }
    scales_[at] = d;
    harms_[at] = harm;
  }

  size_t size() const noexcept { return size_; }
  HalfScale operator[](size_t i) const noexcept { return scales_[i]; }

 private:
  HalfScale scales_[most] = {};
  float harms_[most] = {};
  size_t size_ = 0;
};

}  // namespace
}  // namespace belle
