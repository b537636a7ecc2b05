// How far the loading of a file is, for threads that wait for it.
#pragma once

#include <atomic>
#include <cstdint>

namespace belle {

struct LoadProgress {
  std::atomic<uint64_t> done_bytes{0};   // read, checked and packed
  std::atomic<uint64_t> total_bytes{0};  // 0: it has not begun to read
};

}  // namespace belle
