#include "core/processors.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>
#include <thread>

#ifdef __linux__
#include <sched.h>
#endif

namespace belle {
namespace {

#ifdef __linux__

size_t affinity_count() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 0;
  return static_cast<size_t>(CPU_COUNT(&set));
}

double quota_processors(const std::string& quota, double period_us) {
  if (quota.empty() || quota == "max" || period_us <= 0) return 0.0;
  const double quota_us = std::atof(quota.c_str());
  return quota_us > 0 ? quota_us / period_us : 0.0;
}

// The tightest quota from this process's cgroup v2 directory up to the root.
double cgroup_v2_quota(const std::string& relative) {
  double tightest = 0.0;
  for (std::string directory = relative;; directory.erase(directory.find_last_of('/'))) {
    std::ifstream file("/sys/fs/cgroup" + directory + "/cpu.max");
    std::string quota;
    double period_us = 0;
    if (file >> quota >> period_us) {
      const double processors = quota_processors(quota, period_us);
      if (processors > 0 && (tightest == 0.0 || processors < tightest)) tightest = processors;
    }
    if (directory.find('/') == std::string::npos) return tightest;
  }
}

double cgroup_v1_quota() {
  std::ifstream quota_file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  std::ifstream period_file("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  std::string quota;
  double period_us = 0;
  return quota_file >> quota && period_file >> period_us ? quota_processors(quota, period_us) : 0.0;
}

double cgroup_quota() {
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("0::", 0) != 0) continue;  // the unified (v2) hierarchy
    std::string relative = line.substr(3);
    if (relative == "/") relative.clear();
    if (const double quota = cgroup_v2_quota(relative); quota > 0) return quota;
  }
  return cgroup_v1_quota();
}

#endif

}  // namespace

size_t usable_processors() {
  size_t count = std::max<size_t>(1, std::thread::hardware_concurrency());
#ifdef __linux__
  if (const size_t allowed = affinity_count(); allowed > 0) count = std::min(count, allowed);
  if (const double quota = cgroup_quota(); quota > 0) {
    count = std::min(count, static_cast<size_t>(std::max(1.0, std::ceil(quota))));
  }
#endif
  return count;
}

}  // namespace belle
