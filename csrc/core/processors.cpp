#include "core/processors.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
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
  char* end = nullptr;
  const double quota_us = std::strtod(quota.c_str(), &end);
  return *end == '\0' && quota_us > 0 ? quota_us / period_us : 0.0;
}

double read_v2(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  std::string quota;
  double period_us = 0;
  return file >> quota >> period_us ? quota_processors(quota, period_us) : 0.0;
}

// The tightest quota from `folder` (relative to root) up to the root.
double cgroup_v2_quota(const std::string& root, std::string folder) {
  double tightest = 0.0;
  for (;; folder.erase(folder.find_last_of('/'))) {
    const double processors = read_v2(root + folder);
    if (processors > 0 && (tightest == 0.0 || processors < tightest)) tightest = processors;
    if (folder.find('/') == std::string::npos) return tightest;
  }
}

double cgroup_v1_quota(const std::string& root) {
  std::ifstream quota_file(root + "/cpu/cpu.cfs_quota_us");
  std::ifstream period_file(root + "/cpu/cpu.cfs_period_us");
  std::string quota;
  double period_us = 0;
  return quota_file >> quota && period_file >> period_us ? quota_processors(quota, period_us) : 0.0;
}

#endif

}  // namespace

double cgroup_cpu_quota(const std::string& membership, const std::string& root) {
#ifdef __linux__
  std::ifstream file(membership);
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("0::", 0) != 0) continue;  // the unified (v2) hierarchy
    std::string folder = line.substr(3);
    if (folder == "/") folder.clear();
    if (const double quota = cgroup_v2_quota(root, folder); quota > 0) return quota;
  }
  return cgroup_v1_quota(root);
#else
  return 0.0;
#endif
}

size_t usable_processors() {
  size_t count = std::max<size_t>(1, std::thread::hardware_concurrency());
#ifdef __linux__
  if (const size_t allowed = affinity_count(); allowed > 0) count = std::min(count, allowed);
  if (const double quota = cgroup_cpu_quota("/proc/self/cgroup", "/sys/fs/cgroup"); quota > 0) {
    count = std::min(count, static_cast<size_t>(std::max(1.0, std::ceil(quota))));
  }
#endif
  return count;
}

}  // namespace belle
