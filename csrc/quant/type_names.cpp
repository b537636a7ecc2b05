#include "quant/type_names.h"

#include "quant/types.h"

namespace belle {

std::string type_names(const char* word) {
  std::string names;
  for (size_t i = 0; i < kWeightTypeCount; ++i) {
    if (i > 0) names += i + 1 < kWeightTypeCount ? ", " : " " + std::string(word) + " ";
    names += traits_of(static_cast<WeightType>(i)).name;
  }
  return names;
}

}  // namespace belle
