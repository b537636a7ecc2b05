// Chooses the ISA tier: the best one the CPU supports, or the one that BELLE_ISA names.
#pragma once

#include <string>
#include <vector>

#include "kernels/table.h"

namespace belle {

struct CpuFeatures;

/// An ISA is data: what it is called, what it needs, how it ranks.
struct IsaTier {
  const char* name;
  int priority;                                // the highest supported one is the default
  std::vector<std::string> required_features;  // names of cpu/features.h
  std::vector<std::string> missing_features;   // of those, what this CPU lacks
  const KernelTable* table;                    // null where this build has no code for the tier

  bool supported() const { return table != nullptr && missing_features.empty(); }
};

/// Every tier of this build as a CPU with these features sees it, best first.
std::vector<IsaTier> isa_tiers_for(const CpuFeatures& cpu);

/// Every tier of this build, best first; computed once.
const std::vector<IsaTier>& isa_tiers();

/// The table of a tier by name ("" = the default: BELLE_ISA if set, else the best supported one).
/// Throws std::invalid_argument that lists the choices when the name is unknown or unsupported here.
const KernelTable& kernels_for(const std::string& isa);

}  // namespace belle
