#include "cpu/features.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__) || defined(_M_X64)
#define BELLE_CPU_X86 1
#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#endif

#if defined(__linux__)
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace belle {
namespace {

enum class State { kAvx, kAvx512, kAmx };
enum Register { kEax, kEbx, kEcx, kEdx };

struct FeatureBit {
  const char* name;
  uint32_t leaf, subleaf;
  Register reg;
  int bit;
  State state;  // registers that the operating system must save
};

constexpr FeatureBit kFeatureBits[] = {
    {"fma", 1, 0, kEcx, 12, State::kAvx},          {"f16c", 1, 0, kEcx, 29, State::kAvx},
    {"avx2", 7, 0, kEbx, 5, State::kAvx},          {"avxvnni", 7, 1, kEax, 4, State::kAvx},
    {"avx512f", 7, 0, kEbx, 16, State::kAvx512},   {"avx512dq", 7, 0, kEbx, 17, State::kAvx512},
    {"avx512bw", 7, 0, kEbx, 30, State::kAvx512},  {"avx512vl", 7, 0, kEbx, 31, State::kAvx512},
    {"avx512vbmi", 7, 0, kEcx, 1, State::kAvx512}, {"avx512vnni", 7, 0, kEcx, 11, State::kAvx512},
    {"avx512bf16", 7, 1, kEax, 5, State::kAvx512}, {"amx_bf16", 7, 0, kEdx, 22, State::kAmx},
    {"amx_tile", 7, 0, kEdx, 24, State::kAmx},     {"amx_int8", 7, 0, kEdx, 25, State::kAmx},
};

struct UsableState {
  bool avx = false, avx512 = false, amx = false;

  bool has(State state) const noexcept { return state == State::kAvx ? avx : state == State::kAvx512 ? avx512 : amx; }
};

UsableState usable_state(const X86Answers& x86) {
  constexpr uint32_t kOsxsave = 1u << 27;
  constexpr uint32_t kAmxTile = 1u << 24;
  constexpr uint64_t kAvxBits = 0x6, kAvx512Bits = 0xe6, kAmxBits = 0x60000;
  UsableState state;
  if ((x86.cpuid(1, 0).registers[kEcx] & kOsxsave) == 0) return state;
  const uint64_t xcr0 = x86.xcr0();
  const bool has_leaf_7 = x86.cpuid(0, 0).registers[kEax] >= 7;
  state.avx = (xcr0 & kAvxBits) == kAvxBits;
  state.avx512 = (xcr0 & kAvx512Bits) == kAvx512Bits;
  state.amx = has_leaf_7 && (x86.cpuid(7, 0).registers[kEdx] & kAmxTile) != 0 && (xcr0 & kAmxBits) == kAmxBits &&
              x86.allow_tile_data();
  return state;
}

bool cpu_has(const X86Answers& x86, const FeatureBit& feature) {
  if (x86.cpuid(0, 0).registers[kEax] < feature.leaf) return false;
  if (feature.subleaf > x86.cpuid(feature.leaf, 0).registers[kEax] && feature.subleaf > 0) return false;
  return (x86.cpuid(feature.leaf, feature.subleaf).registers[feature.reg] >> feature.bit) & 1u;
}

std::string brand_string(const X86Answers& x86) {
  constexpr uint32_t kFirstLeaf = 0x80000002u, kLastLeaf = 0x80000004u;
  if (x86.cpuid(0x80000000u, 0).registers[kEax] < kLastLeaf) return {};
  char text[3 * sizeof(CpuidResult) + 1] = {};
  for (uint32_t leaf = kFirstLeaf; leaf <= kLastLeaf; ++leaf) {
    const CpuidResult part = x86.cpuid(leaf, 0);
    std::memcpy(text + (leaf - kFirstLeaf) * sizeof part, &part, sizeof part);
  }
  std::string brand(text);
  const size_t first = brand.find_first_not_of(' ');
  if (first == std::string::npos) return {};
  return brand.substr(first, brand.find_last_not_of(' ') - first + 1);
}

#if defined(BELLE_CPU_X86)

CpuidResult cpuid(uint32_t leaf, uint32_t subleaf) noexcept {
  CpuidResult result{};
#if defined(_MSC_VER) && !defined(__clang__)
  int values[4];
  __cpuidex(values, static_cast<int>(leaf), static_cast<int>(subleaf));
  std::memcpy(result.registers, values, sizeof values);
#else
  __cpuid_count(leaf, subleaf, result.registers[0], result.registers[1], result.registers[2], result.registers[3]);
#endif
  return result;
}

uint64_t read_xcr0() noexcept {
#if defined(_MSC_VER) && !defined(__clang__)
  return _xgetbv(0);
#else
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));  // the intrinsic would need -mxsave
  return (static_cast<uint64_t>(high) << 32) | low;
#endif
}

// Linux hands out the 8 KB of tile state only to processes that ask for it, and says afterwards what it granted.
bool amx_permitted() noexcept {
#if defined(__linux__) && defined(SYS_arch_prctl)
  constexpr long kGetPermission = 0x1022, kRequestPermission = 0x1023;  // ARCH_GET_XCOMP_PERM, ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;                                        // XFEATURE_XTILEDATA
  if (syscall(SYS_arch_prctl, kRequestPermission, kTileData) != 0) return false;
  uint64_t permitted = 0;
  return syscall(SYS_arch_prctl, kGetPermission, &permitted) == 0 && (permitted >> kTileData & 1) != 0;
#else
  return false;
#endif
}

CpuFeatures detect() { return features_from({cpuid, read_xcr0, amx_permitted}); }

#elif defined(__aarch64__) || defined(_M_ARM64)

CpuFeatures detect() {
  CpuFeatures cpu;
  cpu.architecture = "aarch64";
#if defined(__linux__)
  constexpr unsigned long kAsimd = 1ul << 1, kDotProduct = 1ul << 20;  // AT_HWCAP
  constexpr unsigned long kI8mm = 1ul << 13;                           // AT_HWCAP2
  if (getauxval(AT_HWCAP) & kAsimd) cpu.features.push_back("neon");
  if (getauxval(AT_HWCAP) & kDotProduct) cpu.features.push_back("dotprod");
  if (getauxval(AT_HWCAP2) & kI8mm) cpu.features.push_back("i8mm");
#endif
  return cpu;
}

#else

CpuFeatures detect() {
  CpuFeatures cpu;
#if defined(__riscv)
  cpu.architecture = "riscv";
#elif defined(__powerpc64__)
  cpu.architecture = "ppc64";
#elif defined(__i386__) || defined(_M_IX86)
  cpu.architecture = "x86";
#elif defined(__arm__) || defined(_M_ARM)
  cpu.architecture = "arm";
#else
  cpu.architecture = "unknown";
#endif
  return cpu;
}

#endif

}  // namespace

CpuFeatures features_from(const X86Answers& answers) {
  CpuFeatures cpu;
  cpu.architecture = "x86_64";
  cpu.brand = brand_string(answers);
  const UsableState state = usable_state(answers);
  for (const FeatureBit& feature : kFeatureBits) {
    if (state.has(feature.state) && cpu_has(answers, feature)) cpu.features.push_back(feature.name);
  }
  return cpu;
}

bool CpuFeatures::has(const std::string& feature) const {
  return std::find(features.begin(), features.end(), feature) != features.end();
}

const CpuFeatures& cpu_features() {
  static const CpuFeatures cpu = detect();
  return cpu;
}

}  // namespace belle
