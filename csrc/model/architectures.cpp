#include "model/architectures.h"

#include <string>

#include "core/error.h"
#include "model/config_keys.h"
#include "model/decoder.h"

namespace belle {
namespace {

constexpr const Architecture* kArchitectures[] = {&kBloom, &kLlama};

}  // namespace

const Architecture& architecture_of(const GgufFile& gguf) {
  const std::string name = gguf.get_string("general.architecture");
  std::string known;
  for (const Architecture* architecture : kArchitectures) {
    if (name == architecture->name) return *architecture;
    known += std::string(known.empty() ? "" : " and ") + architecture->name;
  }
  throw UnsupportedModelError(gguf.path() + ": architecture '" + name +
                              "' is not supported by the native engine (it runs " + known + ")" + kOtherBackend);
}

std::unique_ptr<Decoder> load_decoder(const GgufFile& gguf, const OpsContext& context, LoadProgress* progress) {
  return architecture_of(gguf).load(gguf, read_config(gguf), context, progress);
}

void check_decoder(const GgufFile& gguf) { architecture_of(gguf).check(gguf, read_config(gguf)); }

}  // namespace belle
