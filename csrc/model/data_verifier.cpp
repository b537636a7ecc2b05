#include "model/data_verifier.h"

#include <algorithm>

#include "core/error.h"
#include "ops/checksums.h"

namespace belle {
namespace {

constexpr uint64_t kStepBytes = 64 << 20;  // between two calls of Progress
constexpr size_t kNamedTensors = 3;        // in a message

}  // namespace

DataVerifier::DataVerifier(const GgufFile& gguf, ThreadPool& pool)
    : gguf_(gguf), pool_(pool), verified_(static_cast<size_t>(gguf.checksums().n_chunks)) {}

void DataVerifier::verify(uint64_t offset_bytes, uint64_t n_bytes) {
  if (verified_.empty() || n_bytes == 0) return;
  const DataChecksums& checksums = gguf_.checksums();
  const Span<const uint8_t> data(gguf_.mapping().data() + gguf_.data_offset(), static_cast<size_t>(gguf_.data_bytes()));
  const ChunkedBytes chunks{data, static_cast<size_t>(checksums.chunk_bytes), checksums.expected};
  const uint64_t begin = offset_bytes - gguf_.data_offset();
  const auto first = verified_.begin() + static_cast<std::ptrdiff_t>(begin / checksums.chunk_bytes);
  const auto last = verified_.begin() + static_cast<std::ptrdiff_t>((begin + n_bytes - 1) / checksums.chunk_bytes + 1);
  for (auto run = std::find(first, last, false); run != last; run = std::find(run, last, false)) {
    const auto run_end = std::find(run, last, true);
    const size_t run_last = static_cast<size_t>(run_end - verified_.begin());
    const size_t bad = find_mismatch(pool_, chunks, static_cast<size_t>(run - verified_.begin()), run_last);
    if (bad != run_last) fail(bad);
    std::fill(run, run_end, true);
    run = run_end;
  }
}

void DataVerifier::verify_rest(const Progress& progress) {
  const uint64_t total = verified_.empty() ? 0 : gguf_.data_bytes();
  for (uint64_t done = 0; done < total;) {
    const uint64_t n_bytes = std::min(kStepBytes, total - done);
    verify(gguf_.data_offset() + done, n_bytes);
    gguf_.mapping().drop_pages(gguf_.data_offset() + done, n_bytes);
    done += n_bytes;
    if (progress) progress(done, total);
  }
}

void DataVerifier::fail(size_t chunk) const {
  gguf_.mapping().check_unchanged();  // a better reason, if it is one
  const uint64_t begin = gguf_.data_offset() + chunk * gguf_.checksums().chunk_bytes;
  const uint64_t end = std::min<uint64_t>(begin + gguf_.checksums().chunk_bytes, gguf_.mapping().size());
  throw ModelFormatError(gguf_.path() + ": bytes " + std::to_string(begin) + " to " + std::to_string(end) + " (" +
                         tensors_in(begin, end) +
                         ") do not match their checksum: the file is damaged; download or convert it again");
}

std::string DataVerifier::tensors_in(uint64_t begin, uint64_t end) const {
  std::string names;
  size_t count = 0;
  for (const GgufTensor& tensor : gguf_.tensors()) {
    if (tensor.offset_bytes >= end || tensor.offset_bytes + tensor.n_bytes <= begin) continue;
    if (count++ < kNamedTensors) names += (count > 1 ? ", '" : "'") + tensor.name + "'";
  }
  if (count == 0) return "padding";
  if (count > kNamedTensors) names += " and " + std::to_string(count - kNamedTensors) + " more";
  return (count == 1 ? "tensor " : "tensors ") + names;
}

}  // namespace belle
