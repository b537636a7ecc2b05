// GgufFile: metadata values are converted to Python one at a time, when they are asked for.
#include "gguf/reader.h"

#include <cstring>
#include <memory>
#include <stdexcept>

#include "bindings/bindings.h"
#include "core/load.h"
#include "core/thread_pool.h"
#include "gguf/ggml_types.h"
#include "loading/data_section.h"
#include "model/architectures.h"

namespace belle {
namespace {

// Text that is not UTF-8 (a vocabulary may hold such pieces) keeps its bytes as surrogates.
py::object to_str(std::string_view bytes) {
  PyObject* text = PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "surrogateescape");
  if (text == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(text);
}

// The inverse, for keys and names that are not UTF-8 either.
std::string to_bytes(const py::str& text) {
  PyObject* bytes = PyUnicode_AsEncodedString(text.ptr(), "utf-8", "surrogateescape");
  if (bytes == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::bytes>(bytes);
}

[[noreturn]] void raise_key_error(const py::str& key) {
  PyErr_SetObject(PyExc_KeyError, key.ptr());
  throw py::error_already_set();
}

py::list keys_of(const GgufFile& file) {
  py::list keys;
  for (const std::string& key : file.keys()) keys.append(to_str(key));
  return keys;
}

py::list to_str_list(const GgufFile& file, const MetadataValue& value) {
  py::list list(value.count);
  size_t i = 0;
  for (const std::string_view text : file.strings(value)) list[i++] = to_str(text);
  return list;
}

py::object to_array(const MetadataValue& value) {
  static const char* const kDtypes[] = {"u1", "i1", "<u2", "<i2", "<u4", "<i4", "<f4",
                                        "?",  "",   "",    "<u8", "<i8", "<f8"};
  const std::vector<py::ssize_t> shape{static_cast<py::ssize_t>(value.count)};
  py::array array(py::dtype(kDtypes[static_cast<size_t>(value.type)]), shape);
  std::memcpy(array.mutable_data(), value.payload, static_cast<size_t>(value.count) * metadata_type_bytes(value.type));
  return std::move(array);
}

py::object to_python(const GgufFile& file, const MetadataValue& value) {
  file.check_unchanged();
  const uint8_t* data = value.payload;
  if (value.is_array)
    return value.type == MetadataType::kString ? py::object(to_str_list(file, value)) : to_array(value);
  switch (value.type) {
    case MetadataType::kString: return to_str(file.strings(value).front());
    case MetadataType::kBool: return py::bool_(*data != 0);
    case MetadataType::kFloat32: return py::float_(static_cast<double>(load<float>(data)));
    case MetadataType::kFloat64: return py::float_(load<double>(data));
    case MetadataType::kUint8: return py::int_(load<uint8_t>(data));
    case MetadataType::kInt8: return py::int_(load<int8_t>(data));
    case MetadataType::kUint16: return py::int_(load<uint16_t>(data));
    case MetadataType::kInt16: return py::int_(load<int16_t>(data));
    case MetadataType::kUint32: return py::int_(load<uint32_t>(data));
    case MetadataType::kInt32: return py::int_(load<int32_t>(data));
    case MetadataType::kUint64: return py::int_(load<uint64_t>(data));
    case MetadataType::kInt64: return py::int_(load<int64_t>(data));
    case MetadataType::kArray: break;
  }
  throw std::logic_error("a metadata value has no type");  // the reader refuses a file with one
}

const GgufTensor& require_tensor(const GgufFile& file, const py::str& name) {
  const GgufTensor* tensor = file.find_tensor(to_bytes(name));
  if (tensor == nullptr) raise_key_error(name);
  return *tensor;
}

std::string type_name(const GgufTensor& tensor) {
  const GgmlType* type = find_ggml_type(tensor.ggml_type);
  return type != nullptr ? type->name : "type_" + std::to_string(tensor.ggml_type);
}

py::tuple shape_of(const GgufTensor& tensor) {
  py::tuple shape(tensor.dimensions.size());
  for (size_t i = 0; i < tensor.dimensions.size(); ++i) {
    shape[i] = py::int_(tensor.dimensions[tensor.dimensions.size() - 1 - i]);
  }
  return shape;
}

py::array tensor_bytes(const std::shared_ptr<GgufFile>& file, const py::str& name) {
  const GgufTensor& tensor = require_tensor(*file, name);
  file->check_unchanged();
  const py::capsule owner(new std::shared_ptr<GgufFile>(file),
                          [](void* pointer) { delete static_cast<std::shared_ptr<GgufFile>*>(pointer); });
  const std::vector<py::ssize_t> shape{static_cast<py::ssize_t>(tensor.n_bytes)};
  py::array bytes(py::dtype("u1"), shape, file->tensor_data(tensor), owner);
  bytes.attr("flags").attr("writeable") = false;
  return bytes;
}

py::list parts_of(const GgufFile& file) {
  py::list paths;
  for (size_t i = 0; i < file.n_parts(); ++i) paths.append(from_path(file.part(i).path()));
  return paths;
}

py::object rewritten_of(const GgufFile& file) {
  const std::string& text = file.checksums().rewritten;
  return text.empty() ? py::object(py::none()) : to_str(text);
}

py::object checksums_of(const GgufFile& file) {
  const DataChecksums& checksums = file.checksums();
  if (!checksums.present()) return py::none();
  py::dict info;
  info["algorithm"] = file.get_string("belle.checksum.algorithm");
  info["chunk_bytes"] = checksums.chunk_bytes;
  info["n_chunks"] = checksums.n_chunks;
  return std::move(info);
}

bool verify_data(const GgufFile& file, size_t threads, const py::object& progress) {
  if (!file.checksums().present()) return false;
  const py::gil_scoped_release no_gil;
  ThreadPool pool(threads);
  file.check_unchanged();
  DataSection(file, pool).verify([&](uint64_t done, uint64_t total) {
    check_signals();
    if (progress.is_none()) return;
    const py::gil_scoped_acquire gil;
    progress(done, total);
  });
  file.check_unchanged();
  return true;
}

}  // namespace

void bind_gguf(py::module_& module) {
  py::class_<GgufTensor>(module, "TensorInfo")
      .def_property_readonly("name", [](const GgufTensor& tensor) { return to_str(tensor.name); })
      .def_property_readonly("type", type_name)
      .def_property_readonly("shape", shape_of)
      .def_readonly("offset", &GgufTensor::offset_bytes)
      .def_readonly("n_bytes", &GgufTensor::n_bytes);

  py::class_<GgufFile, std::shared_ptr<GgufFile>>(module, "GgufFile")
      .def(py::init([](const py::object& path) { return std::make_shared<GgufFile>(to_path(path)); }), py::arg("path"))
      .def_property_readonly("path", [](const GgufFile& file) { return from_path(file.path()); })
      .def_property_readonly("parts", parts_of)
      .def_property_readonly("version", &GgufFile::version)
      .def_property_readonly("alignment", &GgufFile::alignment)
      .def_property_readonly("size_bytes", &GgufFile::size_bytes)
      .def_property_readonly("data_offset", &GgufFile::data_offset)
      .def_property_readonly("checksums", checksums_of)
      .def_property_readonly("rewritten", rewritten_of)
      .def("check_in_place", &GgufFile::check_in_place)
      .def("check_supported", check_decoder)
      .def("verify_data", verify_data, py::kw_only(), py::arg("threads") = 0, py::arg("progress") = py::none())
      .def("keys", keys_of)
      .def("__contains__", [](const GgufFile& file, const py::str& key) { return file.find(to_bytes(key)) != nullptr; })
      .def("__getitem__",
           [](const GgufFile& file, const py::str& key) {
             const MetadataValue* value = file.find(to_bytes(key));
             if (value == nullptr) raise_key_error(key);
             return to_python(file, *value);
           })
      .def(
          "get",
          [](const GgufFile& file, const py::str& key, py::object fallback) {
            const MetadataValue* value = file.find(to_bytes(key));
            return value == nullptr ? fallback : to_python(file, *value);
          },
          py::arg("key"), py::arg("default") = py::none())
      .def("array_length",
           [](const GgufFile& file, const py::str& key) -> uint64_t {
             const MetadataValue* value = file.find(to_bytes(key));
             if (value == nullptr) raise_key_error(key);
             return value->is_array ? value->count : 0;
           })
      .def("tensors", &GgufFile::tensors)
      .def("tensor_bytes", tensor_bytes);
}

}  // namespace belle
