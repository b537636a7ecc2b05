// A tier's vectors as generic code names them, and which of their lanes a load or store touches.
#pragma once

#include <stddef.h>

namespace belle {
namespace {

struct AllLanes {};
struct FirstLanes {
  size_t count;  // 1 .. Tier::kLanes - 1
};

template <class Tier>
using VectorOf = typename Tier::Vector;

}  // namespace
}  // namespace belle
