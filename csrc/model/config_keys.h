// The metadata of one architecture, checked as it is read: keys without their "<architecture>." prefix.
#pragma once

#include <cstddef>
#include <string>

#include "gguf/reader.h"

namespace belle {

/// What a message about a feature that this engine lacks ends with.
constexpr const char* kOtherBackend = "; the llama.cpp backend may run it: Belle.load(path, backend=\"llama.cpp\")";

/// Members without a fallback throw ModelFormatError where the key is absent; all do where it has another type.
class ConfigKeys {
 public:
  ConfigKeys(const GgufFile& gguf, const std::string& architecture) : gguf_(gguf), prefix_(architecture + ".") {}

  bool has(const std::string& key) const { return gguf_.find(prefix_ + key) != nullptr; }
  uint64_t count(const std::string& key, uint64_t fallback) const { return gguf_.get_uint(prefix_ + key, fallback); }
  /// 1 to 16,777,216, which keeps every product of sizes in range; else ModelFormatError.
  size_t size(const std::string& key) const { return checked(key, gguf_.get_uint(prefix_ + key)); }
  size_t size(const std::string& key, size_t fallback) const {
    return checked(key, gguf_.get_uint(prefix_ + key, fallback));
  }
  double number(const std::string& key) const { return gguf_.get_float(prefix_ + key); }
  double number(const std::string& key, double fallback) const { return gguf_.get_float(prefix_ + key, fallback); }
  /// Empty where the key is absent.
  std::string text(const std::string& key) const { return gguf_.get_string(prefix_ + key, ""); }
  /// The epsilon of a norm, above 1e-30 and below 1; else ModelFormatError.
  float norm_eps(const std::string& key) const;

  /// Throws ModelFormatError: path, key and message.
  [[noreturn]] void fail(const std::string& key, const std::string& message) const;
  /// Throws UnsupportedModelError that names the key.
  [[noreturn]] void unsupported(const std::string& key, const std::string& what) const;

 private:
  size_t checked(const std::string& key, uint64_t value) const;

  const GgufFile& gguf_;
  std::string prefix_;
};

}  // namespace belle
