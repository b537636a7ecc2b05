#include "model/config_keys.h"

#include "core/error.h"

namespace belle {
namespace {

constexpr uint64_t kMaxSize = uint64_t{1} << 24;  // far above any real model

}  // namespace

float ConfigKeys::norm_eps(const std::string& key) const {
  const double eps = number(key);
  if (!(eps > 1e-30 && eps < 1.0)) fail(key, "is " + std::to_string(eps) + ", expected between 0 and 1");
  return static_cast<float>(eps);
}

void ConfigKeys::fail(const std::string& key, const std::string& message) const {
  throw ModelFormatError(gguf_.path() + ": metadata '" + prefix_ + key + "' " + message);
}

void ConfigKeys::unsupported(const std::string& key, const std::string& what) const {
  throw UnsupportedModelError(gguf_.path() + ": " + what + " ('" + prefix_ + key +
                              "') is not supported by the native engine" + kOtherBackend);
}

size_t ConfigKeys::checked(const std::string& key, uint64_t value) const {
  if (value == 0 || value > kMaxSize) fail(key, "is " + std::to_string(value) + ", expected 1 to 16777216");
  return static_cast<size_t>(value);
}

}  // namespace belle
