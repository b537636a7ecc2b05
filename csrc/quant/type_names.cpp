#include "quant/type_names.h"

#include <vector>

namespace belle {

std::string type_names(const char* word, bool (*listed)(const TypeTraits&)) {
  std::vector<const char*> types;
  for (size_t i = 0; i < kWeightTypeCount; ++i) {
    const TypeTraits& traits = traits_of(static_cast<WeightType>(i));
    if (listed(traits)) types.push_back(traits.name);
  }
  std::string names;
  for (size_t i = 0; i < types.size(); ++i) {
    if (i > 0) names += i + 1 < types.size() ? ", " : " " + std::string(word) + " ";
    names += types[i];
  }
  return names;
}

}  // namespace belle
