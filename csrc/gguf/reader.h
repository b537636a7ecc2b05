// A memory-mapped GGUF v2/v3 file: every count, length, offset and product is checked before it is used.
// A model that is split into several files is opened whole, by its first.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/mapped_file.h"
#include "gguf/header_checksums.h"

namespace belle {

enum class MetadataType : uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

/// Bytes of a number or bool; 0 for strings and arrays.
size_t metadata_type_bytes(MetadataType type) noexcept;

/// A value still in the mapped file. An array of strings is [uint64 length, bytes] repeated `count` times.
struct MetadataValue {
  MetadataType type;  // of the value, or of the elements where is_array
  bool is_array;
  uint64_t count;          // elements; 1 for a scalar
  const uint8_t* payload;  // first element; a scalar string starts with its uint64 length
};

/// Bytes [begin, end) of the file.
struct Extent {
  uint64_t begin, end;
};

/// Where one metadata entry lies: key and type up to `value`, then the value (of an array: with its type and length).
struct EntryPlace {
  Extent all;
  uint64_t value;
};

struct GgufTensor {
  std::string name;
  uint32_t ggml_type;
  std::vector<uint64_t> dimensions;  // GGUF order: the row length first; 1 to 4 of them
  uint64_t offset_bytes;             // from the start of its file
  uint64_t n_bytes;                  // 0 where ggml_type is unknown
  size_t part = 0;                   // which of the model's files it lies in
  Extent line = {0, 0};              // of the list of tensors
};

/// Throws SystemError when the file cannot be opened and ModelFormatError when it is not a sound GGUF, when its header
/// is damaged by the checksum in it, and when it is a part of a split model but not the first, or others are missing.
class GgufFile {
 public:
  explicit GgufFile(const std::string& path);
  /// Reads bytes that outlive this object; `name` stands for the path in messages.
  GgufFile(const std::string& name, Span<const uint8_t> bytes);

  const std::string& path() const noexcept { return file_.path(); }
  const MappedFile& mapping() const noexcept { return file_; }
  /// Files of the model: this one, and the other parts where it is split.
  size_t n_parts() const noexcept { return 1 + more_parts_.size(); }
  const GgufFile& part(size_t index) const { return index == 0 ? *this : *more_parts_.at(index - 1); }
  /// Of all parts.
  uint64_t size_bytes() const noexcept;
  /// Both as MappedFile's, for all parts.
  void check_unchanged() const;
  void check_in_place() const;
  uint32_t version() const noexcept { return version_; }
  uint64_t alignment() const noexcept { return alignment_; }
  /// The data section: from the end of the header to the end of the file.
  uint64_t data_offset() const noexcept { return data_offset_; }
  uint64_t data_bytes() const noexcept { return file_.size() > data_offset_ ? file_.size() - data_offset_ : 0; }
  /// Of this file's data section; with what another program changed in it.
  const DataChecksums& checksums() const noexcept { return checksums_; }
  const std::vector<std::string>& keys() const noexcept { return keys_; }
  /// In the order of keys().
  const std::vector<EntryPlace>& entry_places() const noexcept { return entry_places_; }
  /// Of all parts, part by part.
  const std::vector<GgufTensor>& tensors() const noexcept { return tensors_; }

  /// Null when absent.
  const MetadataValue* find(const std::string& key) const;
  const GgufTensor* find_tensor(const std::string& name) const;
  const uint8_t* tensor_data(const GgufTensor& tensor) const {
    return part(tensor.part).file_.data() + tensor.offset_bytes;
  }
  /// A copy of the tensor's beginning, at most max_bytes. Throws what MappedFile::fail_to_read does.
  std::vector<uint8_t> copy_of(const GgufTensor& tensor, uint64_t max_bytes) const;

  // Typed scalars. The first form throws ModelFormatError when the key is absent; all do when it has another type.
  uint64_t get_uint(const std::string& key) const;
  uint64_t get_uint(const std::string& key, uint64_t fallback) const;
  double get_float(const std::string& key) const;
  double get_float(const std::string& key, double fallback) const;
  std::string get_string(const std::string& key) const;
  std::string get_string(const std::string& key, const std::string& fallback) const;

  /// The strings of a string or of an array of strings, still in the mapped file.
  /// Throws ModelFormatError when their lengths no longer fit in it: the file was rewritten.
  std::vector<std::string_view> strings(const MetadataValue& value) const;

 private:
  class Cursor;
  struct OnePart {};  // of a split model: the others are not opened

  GgufFile(const std::string& path, OnePart);
  void parse();
  void open_parts();
  void parse_metadata(Cursor& cursor, uint64_t n_entries);
  void parse_tensors(Cursor& cursor, uint64_t n_tensors);
  void place_tensors();
  void check_overlaps() const;
  void add_part(std::unique_ptr<GgufFile> part);
  const MetadataValue& require(const std::string& key) const;
  [[noreturn]] void fail(const std::string& message) const;

  MappedFile file_;
  uint32_t version_ = 0;
  uint64_t alignment_ = 32;
  uint64_t data_offset_ = 0;
  DataChecksums checksums_;
  std::vector<std::string> keys_;
  std::vector<EntryPlace> entry_places_;
  std::unordered_map<std::string, MetadataValue> values_;
  std::vector<GgufTensor> tensors_;
  std::unordered_map<std::string, size_t> tensor_index_;
  std::vector<std::unique_ptr<GgufFile>> more_parts_;
};

}  // namespace belle
