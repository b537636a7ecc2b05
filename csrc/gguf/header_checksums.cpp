#include "gguf/header_checksums.h"

#include <algorithm>
#include <string>

#include "core/error.h"
#include "core/load.h"
#include "core/xxh64.h"
#include "gguf/header_changes.h"
#include "gguf/reader.h"

namespace belle {
namespace {

constexpr const char* kRemedy = "download or convert it again";

[[noreturn]] void fail(const GgufFile& file, const std::string& message) {
  file.mapping().check_unchanged();  // a better reason, if it is one
  throw ModelFormatError(file.path() + ": " + message);
}

[[noreturn]] void fail_header(const GgufFile& file, const std::string& damage) {
  fail(file, "the header (bytes 0 to " + std::to_string(file.data_offset()) +
                 ": metadata, tokenizer, list of tensors) does not match its checksum, " + damage +
                 ": the file is damaged; " + kRemedy +
                 ". If another program edited it on purpose, take the checksum off: gguf-new-metadata IN OUT "
                 "--remove-metadata " +
                 kChecksumHeaderKey);
}

bool is_ours(const GgufFile& file) {
  return std::any_of(file.keys().begin(), file.keys().end(),
                     [](const std::string& key) { return key.compare(0, 6, "belle.") == 0; });
}

const MetadataValue& require(const GgufFile& file, const char* key, MetadataType type, bool is_array) {
  const MetadataValue* value = file.find(key);
  if (value == nullptr) {
    fail(file, std::string("metadata '") + key +
                   "' is missing, which every file of belle-edge has: it is damaged, or older than checksums; " +
                   kRemedy);
  }
  if (value->type != type || value->is_array != is_array) {
    fail(file, std::string("metadata '") + key + "' has a wrong type: the file is damaged; " + kRemedy);
  }
  return *value;
}

// Everything before the data section, with the checksum itself taken as zero.
uint64_t header_hash(const GgufFile& file, const MetadataValue& checksum) {
  const uint8_t* const start = file.mapping().data();
  const uint8_t* const end = start + std::min<uint64_t>(file.data_offset(), file.mapping().size());
  const uint8_t zeros[sizeof(uint64_t)] = {};
  const uint8_t* const after = checksum.payload + sizeof zeros;
  Xxh64 hash;
  hash.update({start, static_cast<size_t>(checksum.payload - start)});
  hash.update({zeros, sizeof zeros});
  hash.update({after, static_cast<size_t>(end - after)});
  return hash.digest();
}

}  // namespace

DataChecksums check_header(const GgufFile& file) {
  if (!is_ours(file)) return {};
  if (file.find(kChecksumHeaderKey) == nullptr && header_checksum_was_removed(file)) {
    DataChecksums none;
    none.rewritten = "its checksum was taken off";
    return none;
  }
  const MetadataValue& header = require(file, kChecksumHeaderKey, MetadataType::kUint64, false);
  const MetadataValue& data = require(file, kChecksumDataKey, MetadataType::kUint64, true);
  require(file, kChecksumChunkBytesKey, MetadataType::kUint32, false);
  require(file, kChecksumAlgorithmKey, MetadataType::kString, false);
  if (const std::string algorithm = file.get_string(kChecksumAlgorithmKey); algorithm != kChecksumAlgorithm) {
    fail(file, std::string("metadata '") + kChecksumAlgorithmKey + "' is '" + algorithm.substr(0, 40) + "', expected " +
                   kChecksumAlgorithm + ": the file is damaged, or made by a newer belle-edge; " + kRemedy);
  }
  DataChecksums checksums{file.get_uint(kChecksumChunkBytesKey), data.count, data.payload, ""};
  const uint64_t n_bytes = file.data_bytes(), chunk_bytes = checksums.chunk_bytes;
  const bool covered = chunk_bytes != 0 && data.count == n_bytes / chunk_bytes + (n_bytes % chunk_bytes != 0);
  if (header_hash(file, header) != load<uint64_t>(header.payload)) {
    const HeaderChanges changes = find_changes(file, covered);
    if (!changes.damage.empty()) fail_header(file, changes.damage);
    if (changes.tensors || !covered) checksums = {};
    checksums.rewritten = changes.description;
    return checksums;
  }
  if (!covered) {
    fail(file, std::to_string(data.count) + " checksums for chunks of " + std::to_string(chunk_bytes) +
                   " bytes do not cover the " + std::to_string(n_bytes) +
                   " bytes of the data section: the file is truncated or damaged; " + kRemedy);
  }
  return checksums;
}

}  // namespace belle
