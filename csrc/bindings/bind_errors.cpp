// Maps the core's exceptions to Python's. std::invalid_argument is already ValueError in pybind11.
#include "core/error.h"

#include <cerrno>
#include <new>
#include <stdexcept>
#include <string>

#include "bindings/bindings.h"

namespace belle {
namespace {

// A message may quote a damaged name, or a path: bytes that are not UTF-8 are shown escaped.
py::object message_text(const std::string& message) {
  return py::reinterpret_steal<py::object>(
      PyUnicode_DecodeUTF8(message.data(), static_cast<Py_ssize_t>(message.size()), "backslashreplace"));
}

void raise(const char* class_name, const char* message) {
  const py::object type = py::module_::import("belle_edge.errors").attr(class_name);
  PyErr_SetObject(type.ptr(), message_text(message).ptr());
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
      const std::string message = e.path().empty() ? e.what() : e.path() + ": " + e.what();
      PyErr_SetObject(PyExc_MemoryError, message_text(message).ptr());
      return;
    }
    py::tuple arguments = py::make_tuple(e.error_number(), e.what());
    if (!e.path().empty()) arguments = py::make_tuple(e.error_number(), e.what(), from_path(e.path()));
    PyErr_SetObject(PyExc_OSError, arguments.ptr());
  } catch (const Interrupted&) {
    if (PyErr_Occurred() == nullptr) PyErr_SetNone(PyExc_KeyboardInterrupt);
  }
}

}  // namespace

void bind_errors(py::module_&) { py::register_local_exception_translator(translate); }

std::string to_path(const py::handle& path) {
  const auto plain = py::reinterpret_steal<py::object>(PyOS_FSPath(path.ptr()));
  if (!plain) throw py::error_already_set();
#ifdef _WIN32
  return plain.cast<std::string>();
#else
  PyObject* bytes = nullptr;
  if (PyUnicode_FSConverter(plain.ptr(), &bytes) == 0) throw py::error_already_set();
  return py::reinterpret_steal<py::bytes>(bytes);
#endif
}

py::object from_path(const std::string& path) {
#ifdef _WIN32
  PyObject* text = PyUnicode_DecodeUTF8(path.data(), static_cast<Py_ssize_t>(path.size()), "surrogateescape");
#else
  PyObject* text = PyUnicode_DecodeFSDefaultAndSize(path.data(), static_cast<Py_ssize_t>(path.size()));
#endif
  if (text == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(text);
}

py::object as_exception(const std::exception_ptr& error) {
  try {
    translate(error);
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& e) {
    PyErr_SetObject(PyExc_ValueError, message_text(e.what()).ptr());
  }
  const py::error_already_set raised;
  return raised.value();
}

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
