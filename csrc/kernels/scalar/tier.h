// The portable tier. A vector is one row of a panel, a part therefore as well; codes come for all 16 rows at once.
#pragma once

#include "kernels/scalar/products.h"
#include "kernels/scalar/vector.h"

namespace belle {
namespace {

struct Scalar : ScalarVector, ScalarProducts {};

}  // namespace
}  // namespace belle
