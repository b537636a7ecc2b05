// How many processors this process may keep busy.
#pragma once

#include <cstddef>
#include <string>

namespace belle {

/// Processors that the cgroup CPU quota allows, 0 = no quota. `membership` is a file as /proc/self/cgroup, `root` the
/// mount as /sys/fs/cgroup. For version 2 the tightest limit on the way up to the root counts.
double cgroup_cpu_quota(const std::string& membership, const std::string& root);

/// The smallest of: hardware threads, the affinity mask, the cgroup (v1 or v2) CPU quota rounded up. At least 1.
size_t usable_processors();

}  // namespace belle
