// Maps the core's exceptions to Python's. std::invalid_argument is already ValueError in pybind11.
#include "core/error.h"

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "bindings/bindings.h"

namespace belle {
namespace {

void raise(const char* class_name, const char* message) {
  const py::object type = py::module_::import("belle_edge.errors").attr(class_name);
  // A message may quote a damaged name: bytes that are not UTF-8 are shown escaped.
  const auto text = py::reinterpret_steal<py::object>(
      PyUnicode_DecodeUTF8(message, static_cast<Py_ssize_t>(std::strlen(message)), "backslashreplace"));
  PyErr_SetObject(type.ptr(), text.ptr());
}

void translate(std::exception_ptr error) {
  try {
    if (error) std::rethrow_exception(error);
  } catch (const ModelFormatError& e) {
    raise("ModelFormatError", e.what());
  } catch (const UnsupportedModelError& e) {
    raise("UnsupportedModelError", e.what());
  } catch (const std::length_error&) {  // a request larger than any container
    PyErr_SetString(PyExc_MemoryError, "the request exceeds the memory that a process can have");
  } catch (const SystemError& e) {
    if (e.error_number() == ENOMEM) {
      PyErr_SetString(PyExc_MemoryError, e.path().empty() ? e.what() : (e.path() + ": " + e.what()).c_str());
      return;
    }
    py::tuple arguments = py::make_tuple(e.error_number(), e.what());
    if (!e.path().empty()) arguments = py::make_tuple(e.error_number(), e.what(), e.path());
    PyErr_SetObject(PyExc_OSError, arguments.ptr());
  } catch (const Interrupted&) {
    if (PyErr_Occurred() == nullptr) PyErr_SetNone(PyExc_KeyboardInterrupt);
  }
}

}  // namespace

void bind_errors(py::module_&) { py::register_local_exception_translator(translate); }

TokenArray to_token_array(const py::handle& ids) {
  const py::array array = py::array::ensure(ids);
  if (!array || array.ndim() != 1 || (array.size() > 0 && array.dtype().kind() != 'i' && array.dtype().kind() != 'u')) {
    PyErr_Clear();
    throw py::value_error("token ids: expected a one-dimensional sequence of integers");
  }
  // int32 would wrap larger ids silently into valid ones.
  const auto wide = py::array_t<int64_t, py::array::c_style | py::array::forcecast>(array);
  for (py::ssize_t i = 0; i < wide.size(); ++i) {
    if (wide.at(i) < 0 || wide.at(i) > INT32_MAX) {
      throw py::value_error("token id " + std::to_string(wide.at(i)) + " is outside the vocabulary");
    }
  }
  return TokenArray(array);
}

void check_signals() {
  const py::gil_scoped_acquire gil;
  if (PyErr_CheckSignals() != 0) {
    PyErr_Clear();
    throw Interrupted();
  }
}

}  // namespace belle
