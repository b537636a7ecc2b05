// What this machine can do at most: read memory, and multiply integers with a tier's instruction, on all threads.
#pragma once

#include <cstddef>
#include <vector>

#include "ops/context.h"

namespace belle {

/// Bytes per second of each of n_passes over n_bytes of anonymous memory in 2 MB pages, one stream per thread.
/// Throws OutOfMemory when there is not so much memory.
std::vector<double> probe_reading(ThreadPool& pool, size_t n_bytes, size_t n_passes);

/// Operations (multiplications and additions) per second of each round, for at least `seconds` of rounds.
std::vector<double> probe_multiplying(const OpsContext& context, double seconds);

}  // namespace belle
