#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <mutex>

#include "events/event_window.h"
#include "python/bindings.h"

namespace py = pybind11;

namespace canthus::python {
namespace {

template <class T>
using Array = py::array_t<T, py::array::c_style>;

// The GIL is let go while the window works, so it needs a lock of its own.
struct SharedWindow {
  SharedWindow(int width, int height, float contribution, float neutral, int64_t kept_us, size_t at_most)
      : window(width, height, contribution, neutral, kept_us, at_most) {}
  std::mutex mutex;
  EventWindow window;
};

template <class Coordinate>
EventPacket<Coordinate> packet_of(const Array<int64_t>& t, const Array<Coordinate>& x,
                                  const Array<Coordinate>& y, const Array<uint8_t>& p) {
  if (t.ndim() != 1 || x.ndim() != 1 || y.ndim() != 1 || p.ndim() != 1)
    throw std::invalid_argument("t, x, y and p have one axis each");
  if (x.size() != t.size() || y.size() != t.size() || p.size() != t.size())
    throw std::invalid_argument("t, x, y and p have the same length");
  return {t.data(), x.data(), y.data(), p.data(), size_t(t.size())};
}

template <class Coordinate>
std::optional<size_t> push(SharedWindow& self, const Array<int64_t>& t, const Array<Coordinate>& x,
                           const Array<Coordinate>& y, const Array<uint8_t>& p) {
  const auto packet = packet_of(t, x, y, p);
  py::gil_scoped_release released;
  std::lock_guard lock(self.mutex);
  return self.window.push(packet);
}

template <class Coordinate>
std::tuple<size_t, size_t, size_t, size_t, size_t> insert(SharedWindow& self, const Array<int64_t>& t,
                                                          const Array<Coordinate>& x,
                                                          const Array<Coordinate>& y, const Array<uint8_t>& p,
                                                          int64_t earliest, int64_t latest,
                                                          int64_t useful_from) {
  const auto packet = packet_of(t, x, y, p);
  py::gil_scoped_release released;
  std::lock_guard lock(self.mutex);
  const auto [in_order, late, too_late, jumped, invalid] =
      self.window.insert(packet, earliest, latest, useful_from);
  return {in_order, late, too_late, jumped, invalid};
}

Array<uint8_t> image(SharedWindow& self, int64_t end, int64_t window_us, std::optional<Array<uint8_t>> out) {
  const py::ssize_t height = self.window.height(), width = self.window.width();
  Array<uint8_t> image = out ? *out : Array<uint8_t>({height, width});
  if (image.ndim() != 2 || image.shape(0) != height || image.shape(1) != width)
    throw std::invalid_argument("out has the shape (height, width) of the sensor");
  uint8_t* pixels = image.mutable_data();
  {
    py::gil_scoped_release released;
    std::lock_guard lock(self.mutex);
    self.window.render(end, window_us, pixels);
  }
  return image;
}

size_t count(SharedWindow& self, int64_t end, int64_t window_us) {
  py::gil_scoped_release released;
  std::lock_guard lock(self.mutex);
  return self.window.count(end, window_us);
}

}  // namespace

void add_events(py::module_& m) {
  py::class_<SharedWindow>(m, "EventWindow")
      .def(py::init<int, int, float, float, int64_t, size_t>(), py::arg("width"), py::arg("height"),
           py::arg("contribution") = 0.5f, py::arg("neutral") = 0.5f, py::arg("kept_us") = 1'000'000,
           py::arg("at_most") = SIZE_MAX)
      .def("push", &push<uint16_t>, py::arg("t").noconvert(), py::arg("x").noconvert(),
           py::arg("y").noconvert(), py::arg("p").noconvert())
      .def("push", &push<uint64_t>, py::arg("t").noconvert(), py::arg("x").noconvert(),
           py::arg("y").noconvert(), py::arg("p").noconvert())
      .def("insert", &insert<uint16_t>, py::arg("t").noconvert(), py::arg("x").noconvert(),
           py::arg("y").noconvert(), py::arg("p").noconvert(), py::arg("earliest"), py::arg("latest"),
           py::arg("useful_from"))
      .def("insert", &insert<uint64_t>, py::arg("t").noconvert(), py::arg("x").noconvert(),
           py::arg("y").noconvert(), py::arg("p").noconvert(), py::arg("earliest"), py::arg("latest"),
           py::arg("useful_from"))
      .def("image", &image, py::arg("end"), py::arg("window_us"), py::arg("out").noconvert() = py::none())
      .def("count", &count, py::arg("end"), py::arg("window_us"));
}

}  // namespace canthus::python
