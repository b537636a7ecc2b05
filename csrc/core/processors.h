// How many processors this process may keep busy.
#pragma once

#include <cstddef>

namespace belle {

/// The smallest of: hardware threads, the affinity mask, the cgroup (v1 or v2) CPU quota rounded up. At least 1.
size_t usable_processors();

}  // namespace belle
