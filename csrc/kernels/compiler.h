// What keeps arrays of vectors in registers.
//
// BELLE_UNROLL stands before a loop with a constant count of up to 16: an array's elements are registers only when
// every index is a constant, and compilers differ in when they unroll by themselves. BELLE_ALONE keeps a function that
// needs all registers out of its caller, whose constants would take some. BELLE_ONCE forbids copies of a function that
// know the constants of a caller as well: each would be a whole kernel.
#pragma once

#if defined(__GNUC__)
#define BELLE_UNROLL _Pragma("GCC unroll 16")
#define BELLE_ALONE __attribute__((noinline))
#if defined(__clang__)
#define BELLE_ONCE BELLE_ALONE
#else
#define BELLE_ONCE __attribute__((noinline, noclone))
#endif
#elif defined(_MSC_VER)
#define BELLE_UNROLL
#define BELLE_ALONE __declspec(noinline)
#define BELLE_ONCE BELLE_ALONE
#else
#define BELLE_UNROLL
#define BELLE_ALONE
#define BELLE_ONCE
#endif
