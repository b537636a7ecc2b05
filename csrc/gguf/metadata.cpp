// The values of a GgufFile's metadata: sizes, typed scalars, strings.
#include "core/load.h"
#include "gguf/reader.h"

namespace belle {
namespace {

// Integers of any width as one signed and one unsigned view; false for other types.
bool load_integer(const MetadataValue& value, int64_t& result) noexcept {
  switch (value.type) {
    case MetadataType::kUint8: result = load<uint8_t>(value.payload); return true;
    // NOLINTNEXTLINE(bugprone-signed-char-misuse): a number, not a character
    case MetadataType::kInt8: result = load<int8_t>(value.payload); return true;
    case MetadataType::kUint16: result = load<uint16_t>(value.payload); return true;
    case MetadataType::kInt16: result = load<int16_t>(value.payload); return true;
    case MetadataType::kUint32: result = load<uint32_t>(value.payload); return true;
    case MetadataType::kInt32: result = load<int32_t>(value.payload); return true;
    case MetadataType::kUint64: result = static_cast<int64_t>(load<uint64_t>(value.payload)); return true;
    case MetadataType::kInt64: result = load<int64_t>(value.payload); return true;
    default: return false;
  }
}

}  // namespace

size_t metadata_type_bytes(MetadataType type) noexcept {
  switch (type) {
    case MetadataType::kUint8:
    case MetadataType::kInt8:
    case MetadataType::kBool: return 1;
    case MetadataType::kUint16:
    case MetadataType::kInt16: return 2;
    case MetadataType::kUint32:
    case MetadataType::kInt32:
    case MetadataType::kFloat32: return 4;
    case MetadataType::kUint64:
    case MetadataType::kInt64:
    case MetadataType::kFloat64: return 8;
    case MetadataType::kString:
    case MetadataType::kArray: return 0;
  }
  return 0;
}

const MetadataValue* GgufFile::find(const std::string& key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

const GgufTensor* GgufFile::find_tensor(const std::string& name) const {
  const auto found = tensor_index_.find(name);
  return found == tensor_index_.end() ? nullptr : &tensors_[found->second];
}

const MetadataValue& GgufFile::require(const std::string& key) const {
  const MetadataValue* value = find(key);
  if (value == nullptr) fail("metadata '" + key + "' is missing");
  return *value;
}

uint64_t GgufFile::get_uint(const std::string& key) const {
  const MetadataValue& value = require(key);
  int64_t result = 0;
  if (value.is_array || !load_integer(value, result) || result < 0) {
    fail("metadata '" + key + "' is not a single non-negative integer");
  }
  return static_cast<uint64_t>(result);
}

uint64_t GgufFile::get_uint(const std::string& key, uint64_t fallback) const {
  return find(key) == nullptr ? fallback : get_uint(key);
}

double GgufFile::get_float(const std::string& key) const {
  const MetadataValue& value = require(key);
  int64_t integer = 0;
  if (!value.is_array) {
    if (value.type == MetadataType::kFloat32) return load<float>(value.payload);
    if (value.type == MetadataType::kFloat64) return load<double>(value.payload);
    if (load_integer(value, integer)) return static_cast<double>(integer);
  }
  fail("metadata '" + key + "' is not a single number");
}

double GgufFile::get_float(const std::string& key, double fallback) const {
  return find(key) == nullptr ? fallback : get_float(key);
}

std::string GgufFile::get_string(const std::string& key) const {
  const MetadataValue& value = require(key);
  if (value.is_array || value.type != MetadataType::kString) fail("metadata '" + key + "' is not a string");
  return std::string(strings(value).front());
}

std::string GgufFile::get_string(const std::string& key, const std::string& fallback) const {
  return find(key) == nullptr ? fallback : get_string(key);
}

std::vector<std::string_view> GgufFile::strings(const MetadataValue& value) const {
  std::vector<std::string_view> result;
  result.reserve(static_cast<size_t>(value.count));
  const uint8_t* next = value.payload;
  const uint8_t* const end = file_.data() + file_.size();
  for (uint64_t i = 0; i < value.count; ++i) {
    if (static_cast<size_t>(end - next) < sizeof(uint64_t)) fail("the file changed while it was in use: load it again");
    const uint64_t size = load<uint64_t>(next);
    next += sizeof(uint64_t);
    if (size > static_cast<uint64_t>(end - next)) fail("the file changed while it was in use: load it again");
    result.emplace_back(reinterpret_cast<const char*>(next), static_cast<size_t>(size));
    next += size;
  }
  return result;
}

}  // namespace belle
