// Chunks of a file compared with their checksums, by all threads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/span.h"
#include "core/thread_pool.h"

namespace belle {

/// Bytes cut into chunks of `chunk_bytes`, the last one shorter, and the XXH64 that each should have.
struct ChunkedBytes {
  Span<const uint8_t> bytes;
  size_t chunk_bytes;
  const uint8_t* expected;  // [n_chunks] uint64, not aligned
};

/// The first chunk of [first, last) that does not match; `last` where all do.
size_t find_mismatch(ThreadPool& pool, const ChunkedBytes& chunks, size_t first, size_t last);

}  // namespace belle
