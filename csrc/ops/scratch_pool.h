// Memory for kernels that need more than registers: one piece per thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "core/memory.h"

namespace belle {

/// One piece of memory per thread for the wide kernels, lent for the time of one call.
class ScratchPool {
 public:
  /// Makes n_threads pieces of at least n_bytes, once. Throws OutOfMemory.
  void fit(size_t n_threads, size_t n_bytes);
  uint8_t* take() noexcept;
  void give_back(uint8_t* piece) noexcept;

 private:
  std::mutex mutex_;
  Buffer memory_;
  size_t piece_bytes_ = 0;
  std::vector<uint8_t*> free_;
};

}  // namespace belle
