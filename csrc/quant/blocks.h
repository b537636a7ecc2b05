// The blocks of GGUF's quantized types, as they lie in a file (llama.cpp's ggml-common.h). d, dmin and m are binary16
// bits. All numbers here are bytes or halves at even offsets, so that no block has padding.
#pragma once

#include <cstddef>
#include <cstdint>

namespace belle {

constexpr size_t kBlockSize = 32;  // weights of a block of q4_0 … q8_0 and iq4_nl, and of a block of activations
constexpr size_t kSuperBlockSize = 256;  // weights of a block of the other types

struct BlockQ4_0 {
  uint16_t d;
  uint8_t qs[kBlockSize / 2];  // low nibbles: weights 0..15, high nibbles: 16..31
};
struct BlockQ4_1 {
  uint16_t d;
  uint16_t m;
  uint8_t qs[kBlockSize / 2];
};
struct BlockQ5_0 {
  uint16_t d;
  uint8_t qh[kBlockSize / 8];  // bit i: the fifth bit of weight i
  uint8_t qs[kBlockSize / 2];
};
struct BlockQ5_1 {
  uint16_t d;
  uint16_t m;
  uint8_t qh[kBlockSize / 8];
  uint8_t qs[kBlockSize / 2];
};
struct BlockQ8_0 {
  uint16_t d;
  int8_t qs[kBlockSize];
};
struct BlockIQ4_NL {
  uint16_t d;
  uint8_t qs[kBlockSize / 2];  // indices of kIQ4Values
};

// Below, weight 32 s + l of a super-block is weight l of its part s.
struct BlockQ2_K {
  uint8_t scales[kSuperBlockSize / 16];  // of 16 weights each: low nibble scale, high nibble minimum
  uint8_t qs[kSuperBlockSize / 4];       // byte 32 n + l: weight l of parts 4n .. 4n + 3, from the low bits on
  uint16_t d;
  uint16_t dmin;
};
struct BlockQ3_K {
  uint8_t hmask[kSuperBlockSize / 8];  // bit s of byte l: the third bit of weight l of part s
  uint8_t qs[kSuperBlockSize / 4];     // the lower two, as in q2_k
  uint8_t scales[12];                  // bytes i < 8: low four bits of scale i, of scale i + 8; then byte p: the upper
                                       // two of scales p, p + 4, p + 8, p + 12
  uint16_t d;
};
struct BlockQ4_K {
  uint16_t d;
  uint16_t dmin;
  uint8_t scales[12];               // byte i < 4: scale i in six bits, the upper two of scale i + 4; then the minima
                                    // likewise; then the low four bits of scale i + 4 and of minimum i + 4
  uint8_t qs[kSuperBlockSize / 2];  // byte 32 n + l: weight l of part 2n in the low nibble, of part 2n + 1 in the high
};
struct BlockQ5_K {
  uint16_t d;
  uint16_t dmin;
  uint8_t scales[12];               // as in q4_k
  uint8_t qh[kSuperBlockSize / 8];  // bit s of byte l: the fifth bit of weight l of part s
  uint8_t qs[kSuperBlockSize / 2];
};
struct BlockQ6_K {
  uint8_t ql[kSuperBlockSize / 2];      // byte 64 n + 32 h + l: weight l of part 4n + h, and of part 4n + 2 + h
  uint8_t qh[kSuperBlockSize / 4];      // the upper two bits, as in q2_k
  int8_t scales[kSuperBlockSize / 16];  // of 16 weights each
  uint16_t d;
};
struct BlockIQ4_XS {
  uint16_t d;
  uint16_t scales_h;                       // bits 2s, 2s + 1: the upper two of the scale of part s
  uint8_t scales_l[kSuperBlockSize / 64];  // byte i: the low four bits of scales 2i and 2i + 1
  uint8_t qs[kSuperBlockSize / 2];         // 16 bytes for each part, as in iq4_nl
};

static_assert(sizeof(BlockQ4_0) == 18 && sizeof(BlockQ4_1) == 20, "as in GGUF");
static_assert(sizeof(BlockQ5_0) == 22 && sizeof(BlockQ5_1) == 24, "as in GGUF");
static_assert(sizeof(BlockQ8_0) == 34 && sizeof(BlockIQ4_NL) == 18, "as in GGUF");
static_assert(sizeof(BlockQ2_K) == 84 && sizeof(BlockQ3_K) == 110 && sizeof(BlockQ4_K) == 144, "as in GGUF");
static_assert(sizeof(BlockQ5_K) == 176 && sizeof(BlockQ6_K) == 210 && sizeof(BlockIQ4_XS) == 136, "as in GGUF");

/// What the codes of iq4_nl and iq4_xs stand for, before the scale (llama.cpp's kvalues_iq4nl).
constexpr int8_t kIQ4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

}  // namespace belle
