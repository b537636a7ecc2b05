#include "kernels/registry.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "cpu/features.h"
#include "kernels/isa.h"

namespace belle {
namespace {

using TableFn = const KernelTable* (*)() noexcept;

#if defined(BELLE_HAS_X86_KERNELS)
constexpr TableFn kAvx2Table = avx2_kernels;
constexpr TableFn kAvxVnniTable = avxvnni_kernels;
constexpr TableFn kAvx512VnniTable = avx512vnni_kernels;
#else
constexpr TableFn kAvx2Table = nullptr;
constexpr TableFn kAvxVnniTable = nullptr;
constexpr TableFn kAvx512VnniTable = nullptr;
#endif
#if defined(BELLE_HAS_X86_KERNELS) && defined(BELLE_HAS_AMX)
constexpr TableFn kAmxTable = amx_kernels;
#else
constexpr TableFn kAmxTable = nullptr;
#endif

struct TierSpec {
  const char* name;
  int priority;
  std::vector<std::string> required_features;
  TableFn table;  // null where this build has no code for the tier
};

// A new ISA is one line here and one folder beside this file.
const std::vector<TierSpec>& tier_specs() {
  static const std::vector<TierSpec> specs = {
    {"scalar", 0, {}, scalar_kernels},
    {"avx2", 20, {"avx2", "fma", "f16c"}, kAvx2Table},
    {"avxvnni", 30, {"avx2", "fma", "f16c", "avxvnni"}, kAvxVnniTable},
    {"avx512vnni",
     40,
     {"avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vnni"},
     kAvx512VnniTable},
    {"amx",
     50,
     {"avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vnni", "avx512bf16", "amx_tile",
      "amx_int8", "amx_bf16"},
     kAmxTable},
#if defined(BELLE_HAS_X86_KERNELS) && defined(BELLE_EMULATE_AMX)
    {"amx-emulated",
     -10,  // below the scalar tier: runs only when it is named
     {"avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vnni", "avx512bf16"},
     amx_emulated_kernels},
#endif
  };
  return specs;
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string why_unsupported(const IsaTier& tier) {
  if (tier.table == nullptr) return "not in this build";
  return "missing " + join(tier.missing_features);
}

// "avx512vnni (missing avx512f avx512bw), avx2, scalar"
std::string list_of_choices() {
  std::string text;
  for (const IsaTier& tier : isa_tiers()) {
    if (!text.empty()) text += ", ";
    text += tier.name;
    if (!tier.supported()) text += " (" + why_unsupported(tier) + ")";
  }
  return text;
}

}  // namespace

std::vector<IsaTier> isa_tiers_for(const CpuFeatures& cpu) {
  std::vector<IsaTier> tiers;
  for (const TierSpec& spec : tier_specs()) {
    IsaTier tier{spec.name, spec.priority, spec.required_features, {}, spec.table ? spec.table() : nullptr};
    for (const std::string& feature : spec.required_features) {
      if (!cpu.has(feature)) tier.missing_features.push_back(feature);
    }
    tiers.push_back(tier);
  }
  std::sort(tiers.begin(), tiers.end(), [](const IsaTier& a, const IsaTier& b) { return a.priority > b.priority; });
  return tiers;
}

const std::vector<IsaTier>& isa_tiers() {
  static const std::vector<IsaTier> tiers = isa_tiers_for(cpu_features());
  return tiers;
}

const KernelTable& kernels_for(const std::string& isa) {
  std::string wanted = isa;
  std::string source = "isa";
  if (wanted.empty()) {
    const char* forced = std::getenv("BELLE_ISA");
    if (forced != nullptr) wanted = forced;
    source = "BELLE_ISA";
  }
  for (const IsaTier& tier : isa_tiers()) {
    if (!wanted.empty() && wanted != tier.name) continue;
    if (tier.supported()) return *tier.table;
    if (wanted.empty()) continue;  // the scalar tier is always there
    throw std::invalid_argument("[kernels] " + source + "='" + wanted + "' does not run here (" +
                                why_unsupported(tier) + "); choices: " + list_of_choices());
  }
  throw std::invalid_argument("[kernels] " + source + "='" + wanted + "' is unknown; choices: " + list_of_choices());
}

}  // namespace belle
