#include "model/config_keys.h"

#include "core/error.h"
#include "model/config.h"

namespace belle {

float ConfigKeys::norm_eps(const std::string& key) const {
  const double eps = number(key);
  if (!(eps > kNormEpsAbove && eps < kNormEpsBelow))
    fail(key, "is " + std::to_string(eps) + ", expected between 0 and 1");
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
  if (value == 0 || value > kMaxSize) {
    fail(key, "is " + std::to_string(value) + ", expected 1 to " + std::to_string(kMaxSize));
  }
  return static_cast<size_t>(value);
}

}  // namespace belle
