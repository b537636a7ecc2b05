// Runs every test on every tier that this CPU supports, and says which tiers those were.
//
//   kernel_test              all tiers, or the one that BELLE_ISA names
//   kernel_test --isa NAME   one tier
//   kernel_test --compiled   all tiers of this build: for builds that compute instructions in software
//   kernel_test --list       the tiers of this build and the default, no tests
// Exit code: 0 all passed, 1 a check failed, 2 the tier is unknown or unsupported.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>

#include "cpu/features.h"
#include "kernels/registry.h"
#include "reference.h"

namespace belle_test {
namespace {

using belle::WeightType;

std::string missing_of(const belle::IsaTier& tier) {
  if (tier.table == nullptr) return "not in this build";
  std::string text = "missing";
  for (const std::string& feature : tier.missing_features) text += " " + feature;
  return text;
}

bool complete(const belle::KernelTable& t) {
  bool all = t.quantize_activations && t.quantize_row && t.attend_page_f32 && t.attend_page_f16 && t.attend_page_q8 &&
             t.exp_and_sum && t.layer_norm && t.rms_norm && t.gelu && t.silu_multiply && t.add && t.rotate_pairs &&
             t.to_half && t.integer_peak;
  for (const WeightType type : {WeightType::kF32, WeightType::kF16, WeightType::kBf16}) {
    all = all && t.matmul[static_cast<size_t>(type)] != nullptr;
  }
  return all;
}

// A quantized type has products if and only if the tests of products run for it.
void check_types(const belle::KernelTable& table, Checks& checks) {
  for (size_t i = 0; i < belle::kWeightTypeCount; ++i) {
    const belle::TypeTraits& traits = belle::traits_of(static_cast<WeightType>(i));
    if (!traits.quantized) continue;
    const bool tested = std::any_of(kQuantizedTypes.begin(), kQuantizedTypes.end(),
                                    [&](const CodeRange& range) { return range.type == traits.type; });
    checks.that((table.matmul[i] != nullptr) == tested, "%s: has products or is tested, not both", traits.name);
  }
}

bool run_tier(const belle::KernelTable& table) {
  Checks checks(table.name);
  checks.that(complete(table), "the table has null entries");
  check_types(table, checks);
  if (checks.failed() == 0) {
    test_matmul_quantized(table, checks);
    test_matmul_float(table, checks);
    test_wide_matmul(table, checks);
    test_quantize_activations(table, checks);
    test_attention(table, checks);
    test_wide_attention(table, checks);
    test_rows(table, checks);
    test_quantize(table, checks);
    test_integer_peak(table, checks);
  }
  std::printf("tier %s: %zu checks passed", table.name, checks.passed());
  if (checks.failed() > 0) std::printf(", %zu FAILED", checks.failed());
  std::printf("\n");
  return checks.failed() == 0;
}

bool run_panels() {
  Checks checks("(panels)");
  test_panels(checks);
  std::printf("panels: %zu checks passed, %zu failed\n", checks.passed(), checks.failed());
  return checks.failed() == 0;
}

bool run_features() {
  Checks checks("(features)");
  test_features(checks);
  std::printf("features: %zu checks passed, %zu failed\n", checks.passed(), checks.failed());
  return checks.failed() == 0;
}

// What the registry promises: order, names, and an error that lists every tier.
bool run_registry() {
  Checks checks("(registry)");
  for (size_t i = 0; i < belle::isa_tiers().size(); ++i) {
    const belle::IsaTier& tier = belle::isa_tiers()[i];
    checks.that(i == 0 || tier.priority < belle::isa_tiers()[i - 1].priority, "%s is out of order", tier.name);
    try {
      checks.that(std::string(belle::kernels_for(tier.name).name) == tier.name, "%s gives another tier", tier.name);
      checks.that(tier.supported(), "%s is not supported but was given", tier.name);
    } catch (const std::invalid_argument&) {
      checks.that(!tier.supported(), "%s is supported but was refused", tier.name);
    }
  }
  try {
    belle::kernels_for("bogus");
    checks.that(false, "an unknown tier was accepted");
  } catch (const std::invalid_argument& error) {
    for (const belle::IsaTier& tier : belle::isa_tiers()) {
      checks.that(std::strstr(error.what(), tier.name) != nullptr, "the error does not list %s", tier.name);
    }
  }
  std::printf("registry: %zu checks passed, %zu failed\n", checks.passed(), checks.failed());
  return checks.failed() == 0;
}

void list_tiers() {
  std::printf("cpu %s %s\n", belle::cpu_features().architecture.c_str(), belle::cpu_features().brand.c_str());
  for (const belle::IsaTier& tier : belle::isa_tiers()) {
    std::printf("tier %s: %s\n", tier.name, tier.supported() ? "supported" : missing_of(tier).c_str());
  }
  std::printf("default %s\n", belle::kernels_for("").name);
}

bool run_all_tiers(bool whatever_the_cpu) {
  bool ok = run_features() && run_registry() && run_panels();
  for (const belle::IsaTier& tier : belle::isa_tiers()) {
    if (tier.supported() || (whatever_the_cpu && tier.table != nullptr)) {
      ok = run_tier(*tier.table) && ok;
    } else {
      std::printf("tier %s: skipped (%s)\n", tier.name, missing_of(tier).c_str());
    }
  }
  return ok;
}

int run(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--list") == 0) {
    list_tiers();
    return 0;
  }
  const bool named = argc == 3 && std::strcmp(argv[1], "--isa") == 0;
  const bool compiled = argc == 2 && std::strcmp(argv[1], "--compiled") == 0;
  if (argc != 1 && !named && !compiled) {
    std::fprintf(stderr, "usage: kernel_test [--list | --compiled | --isa NAME]\n");
    return 2;
  }
  if (compiled) return run_all_tiers(true) ? 0 : 1;
  if (named || std::getenv("BELLE_ISA") != nullptr) return run_tier(belle::kernels_for(named ? argv[2] : "")) ? 0 : 1;
  return run_all_tiers(false) ? 0 : 1;
}

}  // namespace
}  // namespace belle_test

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 1 << 12);  // keep what was printed if a guard page ends the run
  try {
    return belle_test::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
