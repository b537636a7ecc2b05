// Reads the data section of a file once: its checksums are compared, and its matrices packed, from the same bytes while
// they are in the cache.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/load_progress.h"
#include "core/mapped_file.h"
#include "core/span.h"
#include "core/thread_pool.h"
#include "ops/linear.h"

namespace belle {

/// The section [begin_bytes, end_bytes) of a file in chunks of chunk_bytes, the last one shorter, and the XXH64 that
/// each should have.
struct FileChunks {
  const MappedFile& file;
  uint64_t begin_bytes, end_bytes;
  uint64_t chunk_bytes;
  const uint8_t* expected;  // [n_chunks] uint64, not aligned; null: nothing to compare with
};

/// A matrix whose GGUF rows lie in the file at offset_bytes, and where its panels go: weight.image_bytes() of zeros.
struct MatrixInFile {
  const Matrix* weight;
  uint64_t offset_bytes;
  uint8_t* panels;
};

/// What reading found; the first of each kind in the file, whatever the threads.
struct ReadFindings {
  static constexpr uint64_t kNone = static_cast<uint64_t>(-1);

  int read_error = 0;           // errno
  uint64_t mismatch = kNone;    // the first chunk that does not match; what follows it may not have been read
  uint64_t not_finite = kNone;  // the first matrix with a weight that is NaN or infinite
};

/// Reads the bytes [first_chunk, last_chunk) of the section and packs the panels that begin there; `matrices` are
/// sorted by offset_bytes, lie in the section and do not overlap. Each byte is hashed as it was packed, so a file that
/// changes meanwhile cannot pass with bytes that were not checked. The panels are of use only if nothing was found.
/// progress: null, or what counts the bytes that are done.
ReadFindings read_chunks(ThreadPool& pool, const FileChunks& chunks, uint64_t first_chunk, uint64_t last_chunk,
                         Span<const MatrixInFile> matrices, LoadProgress* progress = nullptr);

}  // namespace belle
