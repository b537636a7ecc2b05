#include "loading/section_reader.h"

#include <algorithm>
#include <atomic>

#include "core/load.h"
#include "core/xxh64.h"
#include "quant/finite.h"

namespace belle {
namespace {

constexpr uint64_t kUnitBytes = 1 << 20;  // at least, that a thread claims at a time
constexpr size_t kPieceBytes = 32 << 10;  // of what is hashed only

void lower(std::atomic<uint64_t>& value, uint64_t candidate) noexcept {
  uint64_t current = value.load();
  while (candidate < current && !value.compare_exchange_weak(current, candidate)) {}
}

// What all threads found.
struct SharedFindings {
  std::atomic<int> read_error{0};
  std::atomic<uint64_t> mismatch{ReadFindings::kNone};
  std::atomic<uint64_t> not_finite{ReadFindings::kNone};

  bool failed() const noexcept { return read_error.load() != 0 || mismatch.load() != ReadFindings::kNone; }
};

// Compares each chunk when its last byte has come. The bytes come in order, from the start of a chunk.
class ChunkHasher {
 public:
  ChunkHasher(const FileChunks& chunks, uint64_t begin, SharedFindings& findings) noexcept
      : chunks_(chunks), at_(begin), findings_(findings) {}

  void update(Span<const uint8_t> bytes) noexcept {
    for (const uint8_t* next = bytes.begin(); next < bytes.end();) {
      const uint64_t chunk = (at_ - chunks_.begin_bytes) / chunks_.chunk_bytes;
      const uint64_t end = std::min(chunks_.begin_bytes + (chunk + 1) * chunks_.chunk_bytes, chunks_.end_bytes);
      const size_t n = static_cast<size_t>(std::min<uint64_t>(static_cast<uint64_t>(bytes.end() - next), end - at_));
      hash_.update({next, n});
      next += n;
      at_ += n;
      if (at_ < end) return;
      if (hash_.digest() != load<uint64_t>(chunks_.expected + chunk * sizeof(uint64_t))) {
        lower(findings_.mismatch, chunk);
      }
      hash_ = Xxh64();
    }
  }

 private:
  const FileChunks& chunks_;
  uint64_t at_;  // in the file
  SharedFindings& findings_;
  Xxh64 hash_;
};

// The panels of a matrix as they lie in the file.
struct PanelsInFile {
  explicit PanelsInFile(const MatrixInFile& matrix) noexcept
      : matrix_(matrix),
        row_bytes_(row_bytes(traits_of(matrix.weight->type), matrix.weight->n_cols)),
        end_(matrix.offset_bytes + matrix.weight->n_rows * row_bytes_) {}

  uint64_t end() const noexcept { return end_; }
  size_t size() const noexcept { return panel_count(matrix_.weight->n_rows); }
  uint64_t begin_of(size_t panel) const noexcept { return matrix_.offset_bytes + panel * kPanelRows * row_bytes_; }
  uint64_t end_of(size_t panel) const noexcept { return std::min(begin_of(panel + 1), end_); }
  /// The first panel that begins at this offset or after it.
  size_t first_from(uint64_t offset) const noexcept {
    if (offset <= matrix_.offset_bytes) return 0;
    const uint64_t panel_span = kPanelRows * row_bytes_;
    return static_cast<size_t>((offset - matrix_.offset_bytes + panel_span - 1) / panel_span);
  }

  /// False when a weight is not finite.
  bool pack(size_t panel, const uint8_t* rows) const noexcept {
    const Matrix& weight = *matrix_.weight;
    const size_t n_rows = std::min(kPanelRows, weight.n_rows - panel * kPanelRows);
    pack_panel(weight.type, rows, n_rows, weight.n_cols,
               matrix_.panels + panel * panel_bytes(weight.type, weight.n_cols));
    return all_finite(weight.type, rows, n_rows * weight.n_cols);
  }

 private:
  const MatrixInFile& matrix_;
  size_t row_bytes_;
  uint64_t end_;
};

// One unit of the section: whole chunks, and the panels that begin in them. A panel that reaches into the next unit is
// read here to its end and hashed up to the unit's; the next unit hashes the rest, which it reads once more.
class UnitReader {
 public:
  UnitReader(const FileChunks& chunks, Span<const MatrixInFile> matrices, SharedFindings& findings,
             uint8_t* buffer) noexcept
      : chunks_(chunks), matrices_(matrices), findings_(findings), buffer_(buffer) {}

  void read(uint64_t begin, uint64_t end) noexcept {
    ChunkHasher hasher(chunks_, begin, findings_);
    uint64_t at = begin;
    const MatrixInFile* matrix = std::partition_point(
        matrices_.begin(), matrices_.end(), [&](const MatrixInFile& m) { return PanelsInFile(m).end() <= begin; });
    for (; matrix != matrices_.end() && matrix->offset_bytes < end; ++matrix) {
      const PanelsInFile panels(*matrix);
      for (size_t panel = panels.first_from(begin); panel < panels.size() && panels.begin_of(panel) < end; ++panel) {
        hash_only(hasher, at, panels.begin_of(panel));
        at = std::min(panels.end_of(panel), end);
        if (!fetch(panels.begin_of(panel), panels.end_of(panel))) return;
        if (chunks_.expected != nullptr) hasher.update({buffer_, static_cast<size_t>(at - panels.begin_of(panel))});
        if (!panels.pack(panel, buffer_)) {
          lower(findings_.not_finite, static_cast<uint64_t>(matrix - matrices_.begin()));
        }
      }
    }
    hash_only(hasher, at, end);
  }

 private:
  bool fetch(uint64_t begin, uint64_t end) noexcept {
    const int error = chunks_.file.read(begin, {buffer_, static_cast<size_t>(end - begin)});
    if (error != 0) findings_.read_error.store(error);
    return error == 0;
  }

  void hash_only(ChunkHasher& hasher, uint64_t begin, uint64_t end) noexcept {
    if (chunks_.expected == nullptr) return;
    for (uint64_t at = begin; at < end;) {
      const uint64_t next = std::min(at + kPieceBytes, end);
      if (!fetch(at, next)) return;
      hasher.update({buffer_, static_cast<size_t>(next - at)});
      at = next;
    }
  }

  const FileChunks& chunks_;
  Span<const MatrixInFile> matrices_;
  SharedFindings& findings_;
  uint8_t* buffer_;  // a panel's rows, or kPieceBytes
};

size_t buffer_bytes(Span<const MatrixInFile> matrices) {
  uint64_t n_bytes = kPieceBytes;
  for (const MatrixInFile& matrix : matrices) {
    const PanelsInFile panels(matrix);
    if (panels.size() > 0) n_bytes = std::max(n_bytes, panels.end_of(0) - panels.begin_of(0));
  }
  return static_cast<size_t>(n_bytes);
}

}  // namespace

ReadFindings read_chunks(ThreadPool& pool, const FileChunks& chunks, uint64_t first_chunk, uint64_t last_chunk,
                         Span<const MatrixInFile> matrices, LoadProgress* progress) {
  const uint64_t begin = chunks.begin_bytes + first_chunk * chunks.chunk_bytes;
  const uint64_t end = std::min(chunks.begin_bytes + last_chunk * chunks.chunk_bytes, chunks.end_bytes);
  const uint64_t unit_bytes = (kUnitBytes + chunks.chunk_bytes - 1) / chunks.chunk_bytes * chunks.chunk_bytes;
  ScratchPool buffers;
  buffers.fit(pool.size(), buffer_bytes(matrices));
  SharedFindings findings;
  std::atomic<uint64_t> next_unit{0};
  // Threads claim units in the file's order, not shares of it: they end together, the system's read-ahead sees one
  // stream, and all units before one that failed have been claimed, so that what is reported does not depend on them.
  pool.parallel_for(pool.size(), [&](size_t, size_t) {
    uint8_t* buffer = buffers.take();
    UnitReader reader(chunks, matrices, findings, buffer);
    while (!findings.failed()) {
      const uint64_t unit_begin = begin + next_unit.fetch_add(1) * unit_bytes;
      if (unit_begin >= end) break;
      const uint64_t unit_end = std::min(unit_begin + unit_bytes, end);
      reader.read(unit_begin, unit_end);
      if (progress != nullptr) progress->done_bytes += unit_end - unit_begin;
    }
    buffers.give_back(buffer);
  });
  return {findings.read_error, findings.mismatch, findings.not_finite};
}

}  // namespace belle
