#include "ops/scratch_pool.h"

namespace belle {

void ScratchPool::fit(size_t n_threads, size_t n_bytes) {
  if (piece_bytes_ >= n_bytes) return;
  const size_t piece_bytes = round_up(n_bytes, 4096);
  memory_ = Buffer(n_threads * piece_bytes);
  piece_bytes_ = piece_bytes;
  free_.clear();
  for (size_t i = 0; i < n_threads; ++i) free_.push_back(memory_.data() + i * piece_bytes);
}

// The last piece given back is the first lent: the caches still hold it.
uint8_t* ScratchPool::take() noexcept {
  const std::lock_guard<std::mutex> lock(mutex_);
  uint8_t* piece = free_.back();
  free_.pop_back();
  return piece;
}

void ScratchPool::give_back(uint8_t* piece) noexcept {
  const std::lock_guard<std::mutex> lock(mutex_);
  free_.push_back(piece);  // within the capacity that fit() made
}

}  // namespace belle
