// The checksums in files of this project's converter, metadata under belle.checksum.*: XXH64 of the header, and of each
// chunk of the data section. docs/ARCHITECTURE.md describes them.
#pragma once

#include <cstdint>

namespace belle {

class GgufFile;

/// Of the data section, cut into chunks; all 0 for a file without checksums.
struct DataChecksums {
  uint64_t chunk_bytes = 0;
  uint64_t n_chunks = 0;              // the last one may be shorter
  const uint8_t* expected = nullptr;  // [n_chunks] uint64, in the mapped file

  bool present() const noexcept { return chunk_bytes > 0; }
};

/// Checks the header of a file of ours, one with any key under belle.*, against its checksum.
/// Throws ModelFormatError when it does not match, and when checksums are missing or malformed.
DataChecksums check_header(const GgufFile& file);

}  // namespace belle
