// What the kernel tests share: counted checks, buffers that end at an unreadable page, and reproducible numbers.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include "kernels/table.h"

namespace belle_test {

class Checks {
 public:
  explicit Checks(const char* tier) : tier_(tier) {}

#if defined(__GNUC__)
  __attribute__((format(printf, 3, 4)))
#endif
  void
  that(bool ok, const char* format, ...) {
    ++(ok ? passed_ : failed_);
    if (ok || failed_ > kShown) return;
    std::printf("tier %s: FAILED ", tier_);
    va_list arguments;
    va_start(arguments, format);
    std::vprintf(format, arguments);
    va_end(arguments);
    std::printf("\n");
  }

  size_t passed() const { return passed_; }
  size_t failed() const { return failed_; }

 private:
  static constexpr size_t kShown = 20;
  const char* tier_;
  size_t passed_ = 0, failed_ = 0;
};

/// Pages, all zero, before one that faults on any access. Kept for the next of the same size: the system takes longer
/// to map them than a test to use them.
class GuardedPages {
 public:
  explicit GuardedPages(size_t bytes) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    usable_ = (bytes + page - 1) / page * page;
    std::vector<uint8_t*>& kept = kept_of(usable_);
    if (!kept.empty()) {
      base_ = kept.back();
      kept.pop_back();
      std::memset(base_, 0, usable_);
      return;
    }
    void* base = mmap(nullptr, usable_ + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) std::abort();
    base_ = static_cast<uint8_t*>(base);
    if (mprotect(base_ + usable_, page, PROT_NONE) != 0) std::abort();
  }
  ~GuardedPages() { kept_of(usable_).push_back(base_); }
  GuardedPages(const GuardedPages&) = delete;
  GuardedPages& operator=(const GuardedPages&) = delete;

  uint8_t* end() { return base_ + usable_; }

 private:
  static std::vector<uint8_t*>& kept_of(size_t usable) {
    static std::map<size_t, std::vector<uint8_t*>> kept;
    return kept[usable];
  }

  size_t usable_ = 0;
  uint8_t* base_ = nullptr;
};

/// n elements whose last byte lies right before a page that faults on any access.
template <class T>
class Guarded {
 public:
  explicit Guarded(size_t n) : n_(n), pages_(n * sizeof(T)), data_(reinterpret_cast<T*>(pages_.end()) - n) {}
  explicit Guarded(const std::vector<T>& from) : Guarded(from.size()) {
    if (n_ > 0) std::memcpy(data_, from.data(), n_ * sizeof(T));
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return n_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }

 private:
  size_t n_;
  GuardedPages pages_;
  T* data_;
};

/// xorshift64*: the same numbers on every platform.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ull + 1) {}

  uint32_t bits() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return static_cast<uint32_t>((state_ * 0x2545f4914f6cdd1dull) >> 32);
  }
  uint32_t below(uint32_t n) { return bits() % n; }
  float uniform(float low, float high) {
    return low + (high - low) * (static_cast<float>(bits() >> 8) * (1.0f / 16777216.0f));
  }
  std::vector<float> floats(size_t n, float low, float high) {
    std::vector<float> values(n);
    for (float& value : values) value = uniform(low, high);
    return values;
  }

 private:
  uint64_t state_;
};

inline bool same_bits(const float* a, const float* b, size_t n) { return std::memcmp(a, b, n * sizeof(float)) == 0; }

/// |actual - expected| <= tolerance; NaN never passes.
inline bool near(double actual, double expected, double tolerance) {
  if (actual == expected) return true;  // infinities too
  return actual - expected <= tolerance && expected - actual <= tolerance;
}

constexpr double kFloatEps = 5.97e-8;  // half an ulp, relative

// One per file of tests; each runs a table through every shape.
void test_panels(Checks& checks);
void test_features(Checks& checks);
void test_matmul_quantized(const belle::KernelTable& table, Checks& checks);
void test_matmul_float(const belle::KernelTable& table, Checks& checks);
void test_wide_matmul(const belle::KernelTable& table, Checks& checks);
void test_quantize_activations(const belle::KernelTable& table, Checks& checks);
void test_attention(const belle::KernelTable& table, Checks& checks);
void test_wide_attention(const belle::KernelTable& table, Checks& checks);
void test_rows(const belle::KernelTable& table, Checks& checks);
void test_quantize(const belle::KernelTable& table, Checks& checks);
void test_integer_peak(const belle::KernelTable& table, Checks& checks);

}  // namespace belle_test
