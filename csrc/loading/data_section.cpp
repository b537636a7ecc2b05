#include "loading/data_section.h"

#include <algorithm>

#include "core/error.h"

namespace belle {
namespace {

constexpr uint64_t kStepBytes = 64 << 20;  // between two calls of Progress
constexpr size_t kNamedTensors = 3;        // in a message

}  // namespace

void DataSection::verify(const Progress& progress) const {
  if (!gguf_.checksums().present()) return;
  const FileChunks all = chunks();
  const uint64_t n_chunks = gguf_.checksums().n_chunks, total = gguf_.data_bytes();
  const uint64_t step = std::max<uint64_t>(1, kStepBytes / all.chunk_bytes);
  for (uint64_t first = 0; first < n_chunks; first += step) {
    const uint64_t last = std::min(first + step, n_chunks);
    refuse(read_chunks(pool_, all, first, last, {}));
    progress(std::min(last * all.chunk_bytes, total), total);
  }
}

size_t DataSection::pack(Span<const MatrixInFile> matrices, LoadProgress* progress) const {
  const FileChunks all = chunks();
  const uint64_t n_chunks = (all.end_bytes - all.begin_bytes + all.chunk_bytes - 1) / all.chunk_bytes;
  const ReadFindings findings = read_chunks(pool_, all, 0, n_chunks, matrices, progress);
  refuse(findings);
  return findings.not_finite == ReadFindings::kNone ? matrices.size() : static_cast<size_t>(findings.not_finite);
}

FileChunks DataSection::chunks() const noexcept {
  const DataChecksums& checksums = gguf_.checksums();
  const uint64_t begin = gguf_.data_offset();
  return {gguf_.mapping(), begin, begin + gguf_.data_bytes(),
          checksums.present() ? checksums.chunk_bytes : kChecksumChunkBytes, checksums.expected};
}

void DataSection::refuse(const ReadFindings& findings) const {
  if (findings.read_error != 0) gguf_.mapping().fail_to_read(findings.read_error);
  if (findings.mismatch != ReadFindings::kNone) fail(findings.mismatch);
}

void DataSection::fail(uint64_t chunk) const {
  gguf_.mapping().check_unchanged();  // a better reason, if it is one
  const uint64_t begin = gguf_.data_offset() + chunk * gguf_.checksums().chunk_bytes;
  const uint64_t end = std::min<uint64_t>(begin + gguf_.checksums().chunk_bytes, gguf_.mapping().size());
  throw ModelFormatError(gguf_.path() + ": bytes " + std::to_string(begin) + " to " + std::to_string(end) + " (" +
                         tensors_in(begin, end) +
                         ") do not match their checksum: the file is damaged; download or convert it again");
}

std::string DataSection::tensors_in(uint64_t begin, uint64_t end) const {
  std::string names;
  size_t count = 0;
  for (const GgufTensor& tensor : gguf_.tensors()) {
    if (tensor.part != 0 || tensor.offset_bytes >= end || tensor.offset_bytes + tensor.n_bytes <= begin) continue;
    if (count++ < kNamedTensors) names += (count > 1 ? ", '" : "'") + tensor.name + "'";
  }
  if (count == 0) return "padding";
  if (count > kNamedTensors) names += " and " + std::to_string(count - kNamedTensors) + " more";
  return (count == 1 ? "tensor " : "tensors ") + names;
}

}  // namespace belle
