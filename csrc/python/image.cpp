#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <mutex>
#include <tuple>

#include "image/resize.h"
#include "python/bindings.h"
#include "python/boxes.h"

namespace py = pybind11;

namespace canthus::python {
namespace {

using Image = py::array_t<uint8_t, py::array::c_style>;

Turn checked_turn(bool mirrored, int quarters) {
  if (quarters < 0 || quarters > 3) throw std::invalid_argument("a picture is turned by 0 to 3 quarters");
  return {mirrored, quarters};
}

// Holds scratch memory, and the GIL is let go while it works: so it needs a lock of its own.
struct SharedResize {
  SharedResize(int source_width, int source_height, std::tuple<int, int, int, int> box, int width, int height,
               bool mirrored, int quarters)
      : source_width(source_width),
        source_height(source_height),
        width(width),
        height(height),
        resize(checked_box(source_width, source_height, box, width, height), width, height,
               checked_turn(mirrored, quarters)) {}
  const py::ssize_t source_width, source_height, width, height;
  std::mutex mutex;
  Resize resize;
};

Image resized(SharedResize& self, const Image& image, std::optional<Image> out) {
  if (image.ndim() != 2 || image.shape(0) != self.source_height || image.shape(1) != self.source_width)
    throw std::invalid_argument("the image has the shape (source_height, source_width)");
  Image result = out ? *out : Image({self.height, self.width});
  if (result.ndim() != 2 || result.shape(0) != self.height || result.shape(1) != self.width)
    throw std::invalid_argument("out has the shape (height, width)");
  const uint8_t* from = image.data();
  uint8_t* to = result.mutable_data();
  {
    py::gil_scoped_release released;
    std::lock_guard lock(self.mutex);
    self.resize(from, static_cast<size_t>(self.source_width), to);
  }
  return result;
}

}  // namespace

void add_image(py::module_& m) {
  py::class_<SharedResize>(m, "Resize")
      .def(py::init<int, int, std::tuple<int, int, int, int>, int, int, bool, int>(), py::arg("source_width"),
           py::arg("source_height"), py::arg("box"), py::arg("width"), py::arg("height"),
           py::arg("mirrored") = false, py::arg("quarters") = 0)
      .def("__call__", &resized, py::arg("image").noconvert(), py::arg("out").noconvert() = py::none());
}

}  // namespace canthus::python
