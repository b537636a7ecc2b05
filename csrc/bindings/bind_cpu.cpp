// What the machine offers: features, ISA tiers, usable processors.
#include "cpu/features.h"

#include "bindings/bindings.h"
#include "core/processors.h"
#include "kernels/registry.h"
#include "ops/activation_forms.h"

namespace belle {
namespace {

py::dict cpu_info() {
  const CpuFeatures& cpu = cpu_features();
  py::dict info;
  info["architecture"] = cpu.architecture;
  info["brand"] = cpu.brand;
  info["features"] = cpu.features;
  info["usable_threads"] = usable_processors();
  return info;
}

py::list tiers() {
  py::list result;
  for (const IsaTier& tier : isa_tiers()) {
    py::dict entry;
    entry["name"] = tier.name;
    entry["supported"] = tier.supported();
    entry["missing_features"] = tier.missing_features;
    entry["compiled"] = tier.table != nullptr;
    py::list forms;
    const char* prompt_attention = "float32";
    if (tier.table != nullptr) {
      for (const ActivationForm form : forms_of(*tier.table)) forms.append(name_of(form));
      if (tier.table->wide_attention != nullptr) prompt_attention = tier.table->wide_attention->numbers;
    }
    entry["activation_forms"] = forms;
    entry["prompt_attention"] = prompt_attention;
    result.append(entry);
  }
  return result;
}

}  // namespace

void bind_cpu(py::module_& module) {
  module.def("cpu_info", cpu_info);
  module.def("cgroup_cpu_quota", cgroup_cpu_quota, py::arg("membership") = "/proc/self/cgroup",
             py::arg("root") = "/sys/fs/cgroup");
  module.def("isa_tiers", tiers);
  module.def("default_isa", [] { return std::string(kernels_for("").name); });
}

}  // namespace belle
