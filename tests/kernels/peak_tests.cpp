// The loop that measures a tier's multiply: it counts what it does, and does what it counts.
#include "support.h"

namespace belle_test {
namespace {

using belle::KernelTable;

int32_t result_of(const KernelTable& table, int32_t seed, size_t n_rounds) {
  int32_t sink = seed;
  table.integer_peak(n_rounds, &sink);
  return sink;
}

}  // namespace

void test_integer_peak(const KernelTable& table, Checks& checks) {
  int32_t sink = 7;
  const uint64_t once = table.integer_peak(1, &sink);
  checks.that(once >= 2 && once % 2 == 0, "integer_peak: %llu operations in a round",
              static_cast<unsigned long long>(once));
  checks.that(table.integer_peak(0, &sink) == 0, "integer_peak: operations in no round");
  checks.that(table.integer_peak(1000, &sink) == 1000 * once, "integer_peak: operations do not add up");
  checks.that(result_of(table, 7, 1001) == result_of(table, 7, 1001), "integer_peak: two results for one seed");
  size_t n_different = 0;  // a loop that is left out gives one result
  for (size_t n_rounds = 1; n_rounds < 10; ++n_rounds) {
    n_different += result_of(table, 0x01020304, n_rounds) != result_of(table, 0x01020304, n_rounds + 1);
  }
  checks.that(n_different > 0, "integer_peak: the result does not depend on the rounds");
}

}  // namespace belle_test
