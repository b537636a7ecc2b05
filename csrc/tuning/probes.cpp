#include "tuning/probes.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>

#include "core/memory.h"
#include "kernels/read_stream.h"

namespace belle {
namespace {

constexpr size_t kItemsPerThread = 32;  // of one round: small enough to balance the threads
constexpr size_t kRoundsPerItem = 2048;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

std::vector<double> probe_reading(ThreadPool& pool, size_t n_bytes, size_t n_passes) {
  const size_t n_pages = (n_bytes + kHugePageBytes - 1) / kHugePageBytes;
  Buffer memory(n_pages * kHugePageBytes);
  pool.parallel_for(n_pages, [&](size_t begin, size_t end) {  // pages nobody wrote to would all be the same zeros
    std::memset(memory.data() + begin * kHugePageBytes, 1, (end - begin) * kHugePageBytes);
  });
  std::atomic<uint64_t> sink{0};
  std::vector<double> rates;
  for (size_t pass = 0; pass < n_passes; ++pass) {
    const Clock::time_point start = Clock::now();
    pool.parallel_for(n_pages, [&](size_t begin, size_t end) {
      sink += read_stream(memory.data() + begin * kHugePageBytes, (end - begin) * kHugePageBytes);
    });
    rates.push_back(static_cast<double>(memory.size()) / seconds_since(start));
  }
  return rates;
}

std::vector<double> probe_multiplying(const OpsContext& context, double seconds) {
  std::atomic<uint64_t> n_operations{0};
  std::atomic<int32_t> seed{1};
  std::vector<double> rates;
  const Clock::time_point first = Clock::now();
  do {
    n_operations = 0;
    const Clock::time_point start = Clock::now();
    context.pool.parallel_for(kItemsPerThread * context.pool.size(), [&](size_t begin, size_t end) {
      int32_t sink = seed;
      n_operations += context.kernels.integer_peak((end - begin) * kRoundsPerItem, &sink);
      seed = sink;
    });
    rates.push_back(static_cast<double>(n_operations) / seconds_since(start));
  } while (seconds_since(first) < seconds);
  return rates;
}

}  // namespace belle
