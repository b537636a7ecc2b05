// Which instruction set runs: the best one that the CPU has, or the one that is named.
#include <stdexcept>

#include "cpu/features.h"
#include "dense/dense_kernels.h"

namespace belle {
namespace {

std::vector<DenseIsa> find_isas() {
  std::vector<DenseIsa> isas = {
#if defined(BELLE_HAS_X86_DENSE)
    {"avx512", {"avx512f", "avx2", "fma", "f16c"}, dense_avx512()},
    {"avx2", {"avx2", "fma", "f16c"}, dense_avx2()},
#endif
    {"plain", {}, dense_plain()},
  };
  for (DenseIsa& isa : isas) {
    std::vector<std::string> missing;
    for (const std::string& feature : isa.missing_features) {
      if (!cpu_features().has(feature)) missing.push_back(feature);
    }
    isa.missing_features = missing;
  }
  return isas;
}

std::string list_of_choices() {
  std::string text;
  for (const DenseIsa& isa : dense_isas()) {
    if (isa.supported()) text += (text.empty() ? "" : ", ") + std::string(isa.name);
  }
  return text;
}

}  // namespace

const std::vector<DenseIsa>& dense_isas() {
  static const std::vector<DenseIsa> isas = find_isas();
  return isas;
}

const DenseKernels& dense_kernels_for(const std::string& isa) {
  for (const DenseIsa& known : dense_isas()) {
    if (known.supported() && (isa.empty() || isa == known.name)) return *known.kernels;
  }
  throw std::invalid_argument("[dense] isa='" + isa + "' does not run here; choices: " + list_of_choices());
}

}  // namespace belle
