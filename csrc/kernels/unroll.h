// BELLE_UNROLL before a loop with a constant count of up to 16: its arrays of vectors are registers only when every
// index is a constant, and compilers differ in when they unroll by themselves.
#pragma once

#if defined(__GNUC__)
#define BELLE_UNROLL _Pragma("GCC unroll 16")
#else
#define BELLE_UNROLL
#endif
