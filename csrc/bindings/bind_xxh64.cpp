// XXH64 for the converter, which writes checksums into its files.
#include "bindings/bindings.h"
#include "core/xxh64.h"

namespace belle {
namespace {

uint64_t hash_buffer(const py::buffer& data) {
  const py::buffer_info info = data.request();
  py::ssize_t stride = info.itemsize;
  for (size_t axis = info.shape.size(); axis-- > 0; stride *= info.shape[axis]) {
    if (info.shape[axis] > 1 && info.strides[axis] != stride) throw py::value_error("data: expected contiguous bytes");
  }
  const Span<const uint8_t> bytes(static_cast<const uint8_t*>(info.ptr),
                                  static_cast<size_t>(info.size) * static_cast<size_t>(info.itemsize));
  const py::gil_scoped_release no_gil;
  return xxh64(bytes);
}

}  // namespace

void bind_checksums(py::module_& module) { module.def("xxh64", hash_buffer, py::arg("data")); }

}  // namespace belle
