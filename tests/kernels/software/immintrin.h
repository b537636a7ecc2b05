// Found in place of the compiler's header when the tests compile the AVX-VNNI, AVX-512 and AMX tiers for a CPU that has
// only AVX2: SIMDe computes every instruction that such a CPU lacks. What Debian 12's SIMDe (0.7.4) does not have, or
// not exactly, stands below, lane by lane, after the operations in Intel's Intrinsics Guide.
#pragma once

#include_next <immintrin.h>

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#include <math.h>
#include <string.h>

namespace {
namespace software {

template <class To, class From>
inline To same_bits(From from) noexcept {
  static_assert(sizeof(To) == sizeof(From), "a cast between vectors");
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}

template <class Element, size_t count>
struct Lanes {
  Element at[count];
};
using Floats = Lanes<float, 16>;
using Ints = Lanes<int32_t, 16>;
using Words = Lanes<uint16_t, 16>;

inline Floats floats(__m512 v) noexcept { return same_bits<Floats>(v); }
inline Ints ints(__m512i v) noexcept { return same_bits<Ints>(v); }

// r.at[i] = value(i)
template <class Result, class Value>
inline Result each(const Value& value) noexcept {
  Result r;
  for (size_t i = 0; i < sizeof r.at / sizeof r.at[0]; ++i) r.at[i] = value(i);
  return r;
}

inline bool chosen(uint32_t mask, size_t lane) noexcept { return mask >> lane & 1; }

inline __m512 cvtepi32_ps(__m512i a) noexcept {
  const Ints from = ints(a);
  return same_bits<__m512>(each<Floats>([&](size_t i) { return static_cast<float>(from.at[i]); }));
}

// Through the 256-bit instruction, whose rounding and result for what does not fit are the same.
inline __m512i cvtps_epi32(__m512 a) noexcept {
  const auto halves = same_bits<Lanes<__m256, 2>>(a);
  return same_bits<__m512i>(each<Lanes<__m256i, 2>>([&](size_t i) { return _mm256_cvtps_epi32(halves.at[i]); }));
}
inline __m512i maskz_cvtps_epi32(uint32_t mask, __m512 a) noexcept {
  const Ints from = ints(cvtps_epi32(a));
  return same_bits<__m512i>(each<Ints>([&](size_t i) { return chosen(mask, i) ? from.at[i] : 0; }));
}

inline __m512 cvtph_ps(__m256i a) noexcept {
  const auto halves = same_bits<Lanes<__m128i, 2>>(a);
  return same_bits<__m512>(each<Lanes<__m256, 2>>([&](size_t i) { return _mm256_cvtph_ps(halves.at[i]); }));
}
template <int rounding>
inline __m256i cvtps_ph(__m512 a) noexcept {
  const auto halves = same_bits<Lanes<__m256, 2>>(a);
  return same_bits<__m256i>(each<Lanes<__m128i, 2>>([&](size_t i) { return _mm256_cvtps_ph(halves.at[i], rounding); }));
}

inline __m512i cvtepu16_epi32(__m256i a) noexcept {
  const Words from = same_bits<Words>(a);
  return same_bits<__m512i>(each<Ints>([&](size_t i) { return static_cast<int32_t>(from.at[i]); }));
}
inline __m128i cvtepi32_epi8(__m512i a) noexcept {
  const Ints from = ints(a);
  return same_bits<__m128i>(each<Lanes<uint8_t, 16>>([&](size_t i) { return static_cast<uint8_t>(from.at[i]); }));
}
inline __m256i cvtepi32_epi16(__m512i a) noexcept {
  const Ints from = ints(a);
  return same_bits<__m256i>(each<Words>([&](size_t i) { return static_cast<uint16_t>(from.at[i]); }));
}
inline __m512i srai_epi32(__m512i a, unsigned bits) noexcept {
  const Ints from = ints(a);
  return same_bits<__m512i>(each<Ints>([&](size_t i) { return from.at[i] >> bits; }));
}

// Lanes outside the mask touch no memory.
template <class Element>
inline Lanes<Element, 16> masked_load(uint32_t mask, const void* from) noexcept {
  return each<Lanes<Element, 16>>([&](size_t i) {
    Element value{};
    if (chosen(mask, i)) memcpy(&value, static_cast<const char*>(from) + i * sizeof value, sizeof value);
    return value;
  });
}
template <class Element>
inline void masked_store(void* to, uint32_t mask, const Lanes<Element, 16>& v) noexcept {
  for (size_t i = 0; i < 16; ++i) {
    if (chosen(mask, i)) memcpy(static_cast<char*>(to) + i * sizeof(Element), &v.at[i], sizeof(Element));
  }
}
inline __m512 maskz_loadu_ps(uint32_t mask, const void* from) noexcept {
  return same_bits<__m512>(masked_load<float>(mask, from));
}
inline void mask_storeu_ps(void* to, uint32_t mask, __m512 a) noexcept { masked_store(to, mask, floats(a)); }
inline __m256i maskz_loadu_epi16(uint32_t mask, const void* from) noexcept {
  return same_bits<__m256i>(masked_load<uint16_t>(mask, from));
}
inline void mask_storeu_epi16(void* to, uint32_t mask, __m256i a) noexcept {
  masked_store(to, mask, same_bits<Words>(a));
}

// Lane i with lane i + 8, then + 4, + 2, + 1: the order that compilers give the real ones.
template <class Lanes, class Combine>
inline auto folded(Lanes v, const Combine& combine) noexcept {
  for (size_t half = 8; half > 0; half /= 2) {
    for (size_t i = 0; i < half; ++i) v.at[i] = combine(v.at[i], v.at[i + half]);
  }
  return v.at[0];
}
inline float reduce_add_ps(__m512 a) noexcept {
  return folded(floats(a), [](float x, float y) { return x + y; });
}
inline float reduce_max_ps(__m512 a) noexcept {
  return folded(floats(a), [](float x, float y) { return x > y ? x : y; });
}
inline int32_t reduce_add_epi32(__m512i a) noexcept {
  return folded(ints(a), [](int32_t x, int32_t y) { return static_cast<int32_t>(static_cast<uint32_t>(x) + y); });
}
inline int32_t reduce_max_epi32(__m512i a) noexcept {
  return folded(ints(a), [](int32_t x, int32_t y) { return x > y ? x : y; });
}

template <int control>
inline __m512 permute_ps(__m512 a) noexcept {
  const Floats from = floats(a);
  return same_bits<__m512>(each<Floats>([&](size_t i) { return from.at[i / 4 * 4 + (control >> (i % 4 * 2) & 3)]; }));
}
inline __m512 fmaddsub_ps(__m512 a, __m512 b, __m512 c) noexcept {
  const Floats x = floats(a), y = floats(b), z = floats(c);
  return same_bits<__m512>(
      each<Floats>([&](size_t i) { return fmaf(x.at[i], y.at[i], i % 2 == 0 ? -z.at[i] : z.at[i]); }));
}

// SIMDe multiplies by 2^floor(b), which overflows before the product does.
inline __m512 scalef_ps(__m512 a, __m512 b) noexcept {
  const Floats x = floats(a), power = floats(b);
  return same_bits<__m512>(each<Floats>([&](size_t i) {
    return isnan(power.at[i]) ? power.at[i] : ldexpf(x.at[i], static_cast<int>(floorf(power.at[i])));
  }));
}

// The classes that the kernels ask for: quiet NaN 0x01, +infinity 0x08, -infinity 0x10, signalling NaN 0x80.
template <int classes>
inline __mmask16 fpclass_ps_mask(__m512 a) noexcept {
  static_assert(classes == (0x01 | 0x08 | 0x10 | 0x80), "what is not finite");
  const Floats from = floats(a);
  uint32_t mask = 0;
  for (size_t i = 0; i < 16; ++i) mask |= static_cast<uint32_t>(!isfinite(from.at[i])) << i;
  return static_cast<__mmask16>(mask);
}

// vcvtne2ps2bf16: to nearest even, denormals to zero, NaN quiet; the first operand to the upper half.
inline uint16_t bf16_of(float value) noexcept {
  const uint32_t bits = same_bits<uint32_t>(value);
  if (isnan(value)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  if (fabsf(value) < 1.17549435e-38f) return static_cast<uint16_t>(bits >> 16 & 0x8000);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
inline __m512i cvtne2ps_pbh(__m512 high, __m512 low) noexcept {
  const Floats upper = floats(high), lower = floats(low);
  return same_bits<__m512i>(
      each<Lanes<uint16_t, 32>>([&](size_t i) { return bf16_of(i < 16 ? lower.at[i] : upper.at[i - 16]); }));
}

}  // namespace software
}  // namespace

#define __m512bh __m512i
#define _mm512_cvtepi32_ps software::cvtepi32_ps
#define _mm512_cvtps_epi32 software::cvtps_epi32
#define _mm512_maskz_cvtps_epi32 software::maskz_cvtps_epi32
#define _mm512_cvtph_ps software::cvtph_ps
#define _mm512_cvtps_ph(a, rounding) software::cvtps_ph<rounding>(a)
#define _mm512_cvtepu16_epi32 software::cvtepu16_epi32
#define _mm512_cvtepi32_epi8 software::cvtepi32_epi8
#define _mm512_cvtepi32_epi16 software::cvtepi32_epi16
#define _mm512_srai_epi32 software::srai_epi32
#define _mm512_maskz_loadu_ps software::maskz_loadu_ps
#define _mm512_mask_storeu_ps software::mask_storeu_ps
#define _mm256_maskz_loadu_epi16 software::maskz_loadu_epi16
#define _mm256_mask_storeu_epi16 software::mask_storeu_epi16
#define _mm512_reduce_add_ps software::reduce_add_ps
#define _mm512_reduce_max_ps software::reduce_max_ps
#define _mm512_reduce_add_epi32 software::reduce_add_epi32
#define _mm512_reduce_max_epi32 software::reduce_max_epi32
#define _mm512_permute_ps(a, control) software::permute_ps<control>(a)
#define _mm512_fmaddsub_ps software::fmaddsub_ps
#undef _mm512_scalef_ps
#define _mm512_scalef_ps software::scalef_ps
#define _mm512_fpclass_ps_mask(a, classes) software::fpclass_ps_mask<classes>(a)
#define _mm512_cvtne2ps_pbh software::cvtne2ps_pbh
#define _mm256_dpbusd_avx_epi32 simde_mm256_dpbusd_epi32
#define _mm256_dpwssd_avx_epi32 simde_mm256_dpwssd_epi32
