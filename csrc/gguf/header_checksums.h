// The checksums in files of this project's converter, metadata under belle.checksum.*: XXH64 of the header, and of each
// chunk of the data section. docs/design/checksums.md describes them.
#pragma once

#include <cstdint>
#include <string>

namespace belle {

class GgufFile;

constexpr const char* kChecksumAlgorithm = "xxh64";
constexpr uint64_t kChecksumChunkBytes = 1 << 20;  // as the converter writes; a reader goes by the file

// Metadata keys. The four of the checksums are the last of a file, in this order.
constexpr const char* kChecksumAlgorithmKey = "belle.checksum.algorithm";
constexpr const char* kChecksumChunkBytesKey = "belle.checksum.chunk_bytes";
constexpr const char* kChecksumDataKey = "belle.checksum.data";
constexpr const char* kChecksumHeaderKey = "belle.checksum.header";
constexpr const char* kChecksumKeys[] = {kChecksumAlgorithmKey, kChecksumChunkBytesKey, kChecksumDataKey,
                                         kChecksumHeaderKey};
constexpr const char* kEntryHashesKey = "belle.entry_hashes";  // see gguf/header_changes.h

/// Of the data section, cut into chunks; all 0 for a file without checksums, and for one whose tensors another program
/// wrote anew.
struct DataChecksums {
  uint64_t chunk_bytes = 0;
  uint64_t n_chunks = 0;              // the last one may be shorter
  const uint8_t* expected = nullptr;  // [n_chunks] uint64, in the mapped file
  std::string rewritten;              // what another program changed in a file of ours; empty where nothing

  bool present() const noexcept { return chunk_bytes > 0; }
};

/// Checks the header of a file of ours, one with any key under belle.*, against its checksum. Where it does not match,
/// gguf/header_changes.h decides whether another program wrote it.
/// Throws ModelFormatError when it is damaged, and when checksums are missing or malformed.
DataChecksums check_header(const GgufFile& file);

}  // namespace belle
