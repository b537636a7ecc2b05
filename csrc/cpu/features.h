// What this CPU and operating system allow: CPUID, XGETBV and (for AMX) the kernel's permission.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace belle {

struct CpuFeatures {
  std::string architecture;           // "x86_64", "aarch64", ...
  std::string brand;                  // CPUID brand string, empty where there is none
  std::vector<std::string> features;  // usable ones, lower case: "avx2", "fma", "f16c", "avx512f", "avx512vnni", ...

  bool has(const std::string& feature) const;
};

/// Detected once. A feature is listed only when the operating system also saves its registers.
const CpuFeatures& cpu_features();

struct CpuidResult {
  uint32_t registers[4];  // eax, ebx, ecx, edx
};

/// What an x86 processor and its system answer; the tests bring answers of their own.
struct X86Answers {
  std::function<CpuidResult(uint32_t leaf, uint32_t subleaf)> cpuid;
  std::function<uint64_t()> xcr0;         // asked only where CPUID says that XGETBV exists
  std::function<bool()> allow_tile_data;  // asked only where the AMX bits of CPUID and XCR0 are set
};

/// The features that these answers allow.
CpuFeatures features_from(const X86Answers& answers);

}  // namespace belle
