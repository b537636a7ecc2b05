#include "gguf/reader.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "core/error.h"
#include "core/load.h"
#include "gguf/foreign_files.h"
#include "gguf/ggml_types.h"
#include "gguf/split_files.h"

namespace belle {
namespace {

constexpr uint64_t kMaxNameBytes = 65535;
constexpr uint32_t kMaxDimensions = 4;
constexpr uint64_t kMinEntryBytes = 8 + 4 + 1;  // key length, type, the smallest value
constexpr uint64_t kMinTensorInfoBytes = 8 + 4 + 8 + 4 + 8;

}  // namespace

// Reads forward; every step is checked against the end of the file.
class GgufFile::Cursor {
 public:
  explicit Cursor(const GgufFile& file) : file_(file) {}

  uint64_t position() const noexcept { return position_; }
  uint64_t remaining() const noexcept { return file_.file_.size() - position_; }
  const uint8_t* here() const noexcept { return file_.file_.data() + position_; }

  const uint8_t* take(uint64_t n_bytes, const char* what) {
    if (n_bytes > remaining()) {
      fail(std::string("expected ") + std::to_string(n_bytes) + " bytes of " + what + ", the file ends after " +
           std::to_string(remaining()) + ": it is truncated or damaged");
    }
    const uint8_t* data = here();
    position_ += n_bytes;
    return data;
  }

  template <typename T>
  T read(const char* what) {
    return load<T>(take(sizeof(T), what));
  }

  std::string read_string(const char* what, uint64_t max_bytes) {
    const uint64_t length = read<uint64_t>(what);
    if (length > max_bytes) {
      fail(std::string(what) + " claims " + std::to_string(length) + " bytes, more than " + std::to_string(max_bytes));
    }
    const uint8_t* data = take(length, what);
    return std::string(reinterpret_cast<const char*>(data), static_cast<size_t>(length));
  }

  void skip_values(MetadataType type, uint64_t count, const char* what) {
    if (const size_t size = metadata_type_bytes(type); size > 0) {
      if (count > remaining() / size) {
        fail("an array of " + std::to_string(count) + " values does not fit in the file: it is truncated or damaged");
      }
      take(count * size, what);
      return;
    }
    for (uint64_t i = 0; i < count; ++i) take(read<uint64_t>(what), what);  // strings
  }

  [[noreturn]] void fail(const std::string& message) const {
    throw ModelFormatError(file_.path() + ": at byte " + std::to_string(position_) + ": " + message);
  }

 private:
  const GgufFile& file_;
  uint64_t position_ = 0;
};

GgufFile::GgufFile(const std::string& path) : file_(path) {
  parse();
  open_parts();
}

GgufFile::GgufFile(const std::string& path, OnePart) : file_(path) { parse(); }

GgufFile::GgufFile(const std::string& name, Span<const uint8_t> bytes) : file_(name, bytes) { parse(); }

void GgufFile::parse() {
  Cursor cursor(*this);
  if (file_.size() < 4 || std::memcmp(file_.data(), "GGUF", 4) != 0) {
    fail("not a GGUF file: " + describe_foreign_file({file_.data(), file_.size()}));
  }
  cursor.take(4, "magic");
  version_ = cursor.read<uint32_t>("version");
  if (version_ != 2 && version_ != 3) {
    const bool swapped = (version_ & 0xffffu) == 0 && version_ != 0;
    fail(swapped ? "a big-endian GGUF, this machine is little-endian: get the little-endian file"
                 : "GGUF version " + std::to_string(version_) + ", expected 2 or 3: convert the checkpoint again");
  }
  const uint64_t n_tensors = cursor.read<uint64_t>("tensor count");
  const uint64_t n_entries = cursor.read<uint64_t>("metadata count");
  if (n_entries > cursor.remaining() / kMinEntryBytes || n_tensors > cursor.remaining() / kMinTensorInfoBytes) {
    cursor.fail("the header claims " + std::to_string(n_entries) + " metadata entries and " +
                std::to_string(n_tensors) + " tensors, more than the file can hold");
  }
  parse_metadata(cursor, n_entries);
  parse_tensors(cursor, n_tensors);
  const uint64_t misaligned = cursor.position() % alignment_;
  data_offset_ = cursor.position() + (misaligned == 0 ? 0 : alignment_ - misaligned);
  place_tensors();
  check_overlaps();
  checksums_ = check_header(*this);
  file_.check_unchanged();
}

void GgufFile::open_parts() {
  const SplitPlace place = split_place(*this);
  if (place.count == 1) return;
  check_first_part(*this, place);
  for (uint64_t i = 1; i < place.count; ++i) {
    std::unique_ptr<GgufFile> part(new GgufFile(part_path(path(), place, i), OnePart{}));
    check_part(*this, *part, i);
    add_part(std::move(part));
  }
  const uint64_t expected = get_uint("split.tensors.count", tensors_.size());
  if (tensors_.size() != expected) {
    fail("its " + std::to_string(place.count) + " parts hold " + std::to_string(tensors_.size()) +
         " tensors, expected " + std::to_string(expected) + ": download them again");
  }
}

void GgufFile::parse_metadata(Cursor& cursor, uint64_t n_entries) {
  for (uint64_t i = 0; i < n_entries; ++i) {
    const uint64_t begin = cursor.position();
    std::string key = cursor.read_string("metadata key", kMaxNameBytes);
    uint32_t type = cursor.read<uint32_t>("metadata type");
    const uint64_t value_begin = cursor.position();
    const bool is_array = type == static_cast<uint32_t>(MetadataType::kArray);
    uint64_t count = 1;
    if (is_array) {
      type = cursor.read<uint32_t>("array type");
      count = cursor.read<uint64_t>("array length");
    }
    if (type > static_cast<uint32_t>(MetadataType::kFloat64) || type == static_cast<uint32_t>(MetadataType::kArray)) {
      cursor.fail("metadata '" + key + "' has an unknown type " + std::to_string(type));
    }
    const MetadataValue value{static_cast<MetadataType>(type), is_array, count, cursor.here()};
    cursor.skip_values(value.type, count, "metadata");
    if (!values_.emplace(key, value).second) cursor.fail("metadata key '" + key + "' appears twice");
    keys_.push_back(std::move(key));
    entry_places_.push_back({{begin, cursor.position()}, value_begin});
  }
  alignment_ = get_uint("general.alignment", 32);
  if (alignment_ == 0 || alignment_ > (uint64_t{1} << 20) || (alignment_ & (alignment_ - 1)) != 0) {
    cursor.fail("general.alignment is " + std::to_string(alignment_) + ", expected a power of two up to 1048576");
  }
}

void GgufFile::parse_tensors(Cursor& cursor, uint64_t n_tensors) {
  for (uint64_t i = 0; i < n_tensors; ++i) {
    GgufTensor tensor;
    tensor.line.begin = cursor.position();
    tensor.name = cursor.read_string("tensor name", kMaxNameBytes);
    const uint32_t n_dimensions = cursor.read<uint32_t>("dimension count");
    if (n_dimensions == 0 || n_dimensions > kMaxDimensions) {
      cursor.fail("tensor '" + tensor.name + "' has " + std::to_string(n_dimensions) + " dimensions, expected 1 to 4");
    }
    uint64_t n_elements = 1;
    for (uint32_t d = 0; d < n_dimensions; ++d) {
      const uint64_t dimension = cursor.read<uint64_t>("dimension");
      if (dimension == 0 || dimension > std::numeric_limits<int64_t>::max() / 16 / n_elements) {
        cursor.fail("tensor '" + tensor.name + "' has an impossible dimension of " + std::to_string(dimension));
      }
      n_elements *= dimension;
      tensor.dimensions.push_back(dimension);
    }
    tensor.ggml_type = cursor.read<uint32_t>("tensor type");
    tensor.offset_bytes = cursor.read<uint64_t>("tensor offset");
    tensor.line.end = cursor.position();
    const GgmlType* type = find_ggml_type(tensor.ggml_type);
    if (type != nullptr && tensor.dimensions[0] % type->block_size != 0) {
      cursor.fail("tensor '" + tensor.name + "' has rows of " + std::to_string(tensor.dimensions[0]) +
                  " weights, not a multiple of the " + std::to_string(type->block_size) + " that " + type->name +
                  " needs");
    }
    tensor.n_bytes = type == nullptr ? 0 : n_elements / type->block_size * type->block_bytes;
    if (!tensor_index_.emplace(tensor.name, tensors_.size()).second) {
      cursor.fail("tensor '" + tensor.name + "' appears twice");
    }
    tensors_.push_back(std::move(tensor));
  }
}

void GgufFile::place_tensors() {
  if (tensors_.empty() && data_bytes() > 0) {
    fail("its header lists no tensors, but " + std::to_string(data_bytes()) +
         " bytes follow it: the file is damaged; download or convert it again");
  }
  for (GgufTensor& tensor : tensors_) {
    if (tensor.offset_bytes % alignment_ != 0) {
      fail("tensor '" + tensor.name + "' starts at data offset " + std::to_string(tensor.offset_bytes) +
           ", not a multiple of the alignment " + std::to_string(alignment_));
    }
    if (data_offset_ > file_.size() || tensor.offset_bytes > data_bytes() ||
        tensor.n_bytes > data_bytes() - tensor.offset_bytes) {
      fail("tensor '" + tensor.name + "' (" + std::to_string(tensor.n_bytes) + " bytes at data offset " +
           std::to_string(tensor.offset_bytes) + ") ends past the end of the file (" + std::to_string(file_.size()) +
           " bytes): the file is truncated; download or convert it again");
    }
    tensor.offset_bytes += data_offset_;
  }
}

std::vector<uint8_t> GgufFile::copy_of(const GgufTensor& tensor, uint64_t max_bytes) const {
  std::vector<uint8_t> bytes(static_cast<size_t>(std::min(tensor.n_bytes, max_bytes)));
  const MappedFile& file = part(tensor.part).file_;
  if (const int error = file.read(tensor.offset_bytes, bytes); error != 0) file.fail_to_read(error);
  return bytes;
}

uint64_t GgufFile::size_bytes() const noexcept {
  uint64_t total = file_.size();
  for (const std::unique_ptr<GgufFile>& part : more_parts_) total += part->file_.size();
  return total;
}

void GgufFile::check_unchanged() const {
  for (size_t i = 0; i < n_parts(); ++i) part(i).file_.check_unchanged();
}

void GgufFile::check_in_place() const {
  for (size_t i = 0; i < n_parts(); ++i) part(i).file_.check_in_place();
}

void GgufFile::add_part(std::unique_ptr<GgufFile> part) {
  more_parts_.push_back(std::move(part));
  for (GgufTensor tensor : more_parts_.back()->tensors_) {
    tensor.part = more_parts_.size();
    if (!tensor_index_.emplace(tensor.name, tensors_.size()).second) {
      fail("tensor '" + tensor.name + "' is in " + more_parts_.back()->path() + " once more");
    }
    tensors_.push_back(std::move(tensor));
  }
}

void GgufFile::check_overlaps() const {
  std::vector<const GgufTensor*> by_offset;
  for (const GgufTensor& tensor : tensors_) by_offset.push_back(&tensor);
  std::sort(by_offset.begin(), by_offset.end(),
            [](const GgufTensor* a, const GgufTensor* b) { return a->offset_bytes < b->offset_bytes; });
  for (size_t i = 1; i < by_offset.size(); ++i) {
    const GgufTensor& before = *by_offset[i - 1];
    if (before.offset_bytes + before.n_bytes > by_offset[i]->offset_bytes) {
      fail("tensors '" + before.name + "' and '" + by_offset[i]->name + "' overlap");
    }
  }
}

void GgufFile::fail(const std::string& message) const { throw ModelFormatError(path() + ": " + message); }

}  // namespace belle
