// Feature detection and the choice of a tier on processors and systems that are not this one.
#include <algorithm>
#include <string>
#include <vector>

#include "cpu/features.h"
#include "kernels/registry.h"
#include "support.h"

namespace belle_test {
namespace {

using belle::CpuFeatures;
using belle::CpuidResult;

constexpr uint64_t kAvxState = 0x6, kAvx512State = 0xe0, kTileState = 0x60000;

/// A Sapphire Rapids, as far as the detection looks, under a system that saves `xcr0` and answers AMX requests.
struct Machine {
  uint64_t xcr0 = kAvxState | kAvx512State | kTileState | 1;
  bool permits_amx = true;
  uint32_t amx_bits = 1u << 22 | 1u << 24 | 1u << 25;  // bf16, tile, int8
  uint32_t max_leaf = 0x20;
  bool asked_for_tiles = false;

  CpuFeatures features() {
    const auto cpuid = [this](uint32_t leaf, uint32_t subleaf) -> CpuidResult {
      if (leaf == 0) return {{max_leaf, 0, 0, 0}};
      if (leaf == 1) return {{0, 0, 1u << 12 | 1u << 27 | 1u << 29, 0}};
      if (leaf == 7 && subleaf == 0) {
        const uint32_t ebx = 1u << 5 | 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
        return {{1, ebx, 1u << 1 | 1u << 11, amx_bits}};
      }
      if (leaf == 7 && subleaf == 1) return {{1u << 4 | 1u << 5, 0, 0, 0}};
      return {};
    };
    return belle::features_from({cpuid, [this] { return xcr0; },
                                 [this] {
                                   asked_for_tiles = true;
                                   return permits_amx;
                                 }});
  }
};

/// The tier that a machine of these features would run by default, among all that exist anywhere.
std::string best_tier(const CpuFeatures& cpu) {
  for (const belle::IsaTier& tier : belle::isa_tiers_for(cpu)) {
    if (tier.missing_features.empty()) return tier.name;
  }
  return "none";
}

bool has_amx(const CpuFeatures& cpu) { return cpu.has("amx_tile") || cpu.has("amx_int8") || cpu.has("amx_bf16"); }

}  // namespace

void test_features(Checks& checks) {
  Machine whole;
  checks.that(best_tier(whole.features()) == "amx" && whole.asked_for_tiles, "a CPU with AMX does not use it");

  Machine refused;
  refused.permits_amx = false;
  checks.that(!has_amx(refused.features()) && best_tier(refused.features()) == "avx512vnni",
              "AMX without the system's permission");

  for (uint64_t missing : {uint64_t{1} << 17, uint64_t{1} << 18, kTileState}) {
    Machine unsaved;
    unsaved.xcr0 &= ~missing;
    checks.that(!has_amx(unsaved.features()) && best_tier(unsaved.features()) == "avx512vnni",
                "AMX although XCR0 lacks %#llx", static_cast<unsigned long long>(missing));
    checks.that(!unsaved.asked_for_tiles, "tiles were asked for although XCR0 lacks them");
  }

  for (int bit : {22, 24, 25}) {  // a hypervisor that hides a part of AMX
    Machine part;
    part.amx_bits &= ~(1u << bit);
    checks.that(best_tier(part.features()) == "avx512vnni", "the tier amx without CPUID bit %d", bit);
  }

  Machine no_avx512;
  no_avx512.xcr0 &= ~kAvx512State;
  checks.that(best_tier(no_avx512.features()) == "avxvnni", "AVX-512 or AMX although XCR0 lacks its registers");

  Machine old;
  old.max_leaf = 4;
  checks.that(best_tier(old.features()) == "scalar" && !old.asked_for_tiles, "features of a leaf that does not exist");

  // What cannot be run by everyone must not become a default.
  for (const belle::IsaTier& tier : belle::isa_tiers_for(whole.features())) {
    const bool emulated = std::string(tier.name).find("emulated") != std::string::npos;
    checks.that((tier.priority < 0) == emulated, "%s: only emulated tiers rank below the scalar one", tier.name);
  }
}

}  // namespace belle_test
