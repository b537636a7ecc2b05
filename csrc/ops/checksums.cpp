#include "ops/checksums.h"

#include <algorithm>
#include <atomic>

#include "core/load.h"
#include "core/xxh64.h"

namespace belle {

size_t find_mismatch(ThreadPool& pool, const ChunkedBytes& chunks, size_t first, size_t last) {
  std::atomic<size_t> found{last};
  pool.parallel_for(last - first, [&](size_t begin, size_t end) {
    for (size_t chunk = first + begin; chunk < first + end; ++chunk) {
      const size_t offset = chunk * chunks.chunk_bytes;
      const size_t n_bytes = std::min(chunks.chunk_bytes, chunks.bytes.size() - offset);
      if (xxh64({chunks.bytes.data() + offset, n_bytes}) ==
          load<uint64_t>(chunks.expected + chunk * sizeof(uint64_t))) {
        continue;
      }
      size_t earliest = found.load();
      while (chunk < earliest && !found.compare_exchange_weak(earliest, chunk)) {}
      return;
    }
  });
  return found;
}

}  // namespace belle
