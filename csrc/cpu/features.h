// What this CPU and operating system allow: CPUID, XGETBV and (for AMX) the kernel's permission.
#pragma once

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

}  // namespace belle
