// Shared by the binding files; pybind11 appears nowhere outside this folder.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <exception>
#include <string>
#include <vector>

#include "core/span.h"
#include "ops/context.h"
#include "quant/types.h"
#include "sampling/sampler.h"

namespace belle {

namespace py = pybind11;

using TokenArray = py::array_t<int32_t, py::array::c_style | py::array::forcecast>;

void bind_constants(py::module_& module);
void bind_errors(py::module_& module);
void bind_cpu(py::module_& module);
void bind_checksums(py::module_& module);
void bind_quant(py::module_& module);
void bind_dense(py::module_& module);
void bind_rounding(py::module_& module);
void bind_gguf(py::module_& module);
void bind_sampler(py::module_& module);
void bind_probes(py::module_& module);
void bind_engine(py::module_& module);

/// Token ids from any integer sequence or array, one-dimensional. Throws ValueError otherwise.
TokenArray to_token_array(const py::handle& ids);

/// A path as the system takes it, from str or os.PathLike: names that are not UTF-8 come as surrogates.
std::string to_path(const py::handle& path);
/// The inverse.
py::object from_path(const std::string& path);

/// A type of those that `allowed` is true for. Throws ValueError that lists them.
const TypeTraits& require_type(const std::string& name, bool (*allowed)(const TypeTraits&));

/// Of a checkpoint's rows: float32, float16, and bfloat16 as raw uint16 bits. Throws ValueError for others.
WeightType source_type_of(const py::array& rows);

/// {"one_token": bytes, "several_tokens": bytes, "measured": bool}
py::dict as_dict(const ReadAhead& read_ahead);

/// The Python exception that an error of the core becomes.
py::object as_exception(const std::exception_ptr& error);

/// Each token as an id, or with log-probabilities as (id, its own, the top ones); an exception where there is none.
py::list as_list(const std::vector<SampledToken>& sampled, int n_top);

/// Reacquires the GIL and runs pending signal handlers; throws Interrupted after Ctrl-C.
void check_signals();

}  // namespace belle
