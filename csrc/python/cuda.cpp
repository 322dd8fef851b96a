// canthus._native.cuda: the kernels on a GPU. Arrays are those of any library that has
// __cuda_array_interface__, or DeviceArrays; results go into arrays that the caller brings. Everything is
// queued on the caller's stream.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>

#include "cuda/head.h"
#include "cuda/images.h"
#include "cuda/selective_scan.h"
#include "head/arguments.h"
#include "python/bindings.h"
#include "python/boxes.h"
#include "selective_scan/shapes.h"

namespace canthus::python {
namespace {

namespace py = pybind11;
namespace scan = canthus::selective_scan;

struct DeviceArray {
  std::uintptr_t address = 0;
  Shape shape;
  std::string dtype;

  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(address);
  }

  std::int64_t size() const {
    std::int64_t count = 1;
    for (int i = 0; i < shape.rank && i < 4; ++i) count *= shape.axes[i];
    return count;
  }
};

Shape shape_of(const py::sequence& sequence) {
  Shape shape;
  shape.rank = static_cast<int>(py::len(sequence));
  for (int i = 0; i < shape.rank && i < 4; ++i) {
    shape.axes[i] = py::cast<std::int64_t>(sequence[i]);
    if (shape.axes[i] < 0) throw py::value_error("a shape has no negative numbers");
  }
  return shape;
}

DeviceArray make_array(std::uintptr_t address, const py::sequence& shape, const std::string& dtype) {
  return {address, shape_of(shape), dtype};
}

// `op` and `name` are for the error.
DeviceArray device_array(const std::string& op, const char* name, const py::handle& object) {
  if (object.is_none()) return {};
  if (py::isinstance<DeviceArray>(object)) return py::cast<DeviceArray>(object);
  const std::string start = op + ": " + name;
  if (!py::hasattr(object, "__cuda_array_interface__"))
    throw py::type_error(start + " must be an array in a GPU's memory, got " +
                         Py_TYPE(object.ptr())->tp_name);
  const py::dict interface = object.attr("__cuda_array_interface__");
  const py::dtype dtype(py::cast<std::string>(interface["typestr"]));
  // None: contiguous. Some libraries give strides all the same.
  if (interface.contains("strides") && !interface["strides"].is_none()) {
    py::ssize_t expected = dtype.itemsize();
    const py::sequence shape = interface["shape"], strides = interface["strides"];
    for (py::ssize_t i = static_cast<py::ssize_t>(py::len(shape)) - 1; i >= 0; --i) {
      const auto length = py::cast<py::ssize_t>(shape[i]);
      if (length > 1 && py::cast<py::ssize_t>(strides[i]) != expected)
        throw py::value_error(start + " must be C-contiguous; copy it first");
      expected *= length;
    }
  }
  const py::tuple data = interface["data"];
  return make_array(py::cast<std::uintptr_t>(data[0]), interface["shape"], py::str(dtype.attr("name")));
}

DeviceArray expected_array(const std::string& op, const char* name, const py::handle& object,
                           const std::string& dtype, const Shape& shape) {
  const DeviceArray array = device_array(op, name, object);
  if (array.dtype != dtype || array.shape != shape)
    throw py::value_error(op + ": " + name + " must be " + dtype + " of shape " + text(shape) + ", got " +
                          (array.shape.given() ? array.dtype + " of shape " + text(array.shape) : "None"));
  return array;
}

cudaStream_t stream_of(std::uintptr_t stream) { return reinterpret_cast<cudaStream_t>(stream); }

scan::DataType data_type(const std::string& dtype) {
  if (dtype == "float32") return scan::DataType::float32;
  if (dtype == "float16") return scan::DataType::float16;
  if (dtype == "bfloat16") return scan::DataType::bfloat16;
  throw py::type_error("selective_scan: u must be float32, float16 or bfloat16, got " +
                       (dtype.empty() ? "None" : dtype));
}

void selective_scan(const py::object& u, const py::object& delta, const py::object& A, const py::object& B,
                    const py::object& C, const py::object& D, const py::object& z,
                    const py::object& delta_bias, bool delta_softplus, const py::object& y,
                    const py::object& last_state, std::uintptr_t stream) {
  const std::string op = "selective_scan";
  const DeviceArray of_u = device_array(op, "u", u);
  scan::Inputs in;
  in.type = data_type(of_u.dtype);
  const auto read = [&](const char* name, const py::object& object, bool is_data) {
    const DeviceArray array = device_array(op, name, object);
    const std::string& wanted = is_data ? of_u.dtype : "float32";
    if (array.shape.given() && array.dtype != wanted)
      throw py::type_error(op + ": " + name + " must be " + wanted + ", got " + array.dtype);
    return array;
  };
  const auto read_projection = [&](const char* name, const py::object& object) {
    return read(name, object, device_array(op, name, object).shape.rank != 2);
  };
  const DeviceArray of_delta = read("delta", delta, true), of_A = read("A", A, false);
  const DeviceArray of_B = read_projection("B", B), of_C = read_projection("C", C),
                    of_D = read("D", D, false);
  const DeviceArray of_z = read("z", z, true), of_bias = read("delta_bias", delta_bias, false);
  in.sizes = scan::sizes_of({of_u.shape, of_delta.shape, of_A.shape, of_B.shape, of_C.shape, of_D.shape,
                             of_z.shape, of_bias.shape});
  in.u = of_u.as<void>();
  in.delta = of_delta.as<void>();
  in.A = of_A.as<float>();
  in.B = {of_B.as<void>(), of_B.shape.rank != 2};
  in.C = {of_C.as<void>(), of_C.shape.rank != 2};
  in.D = of_D.as<float>();
  in.z = of_z.as<void>();
  in.delta_bias = of_bias.as<float>();
  in.delta_softplus = delta_softplus;
  const scan::Sizes& sizes = in.sizes;
  scan::Outputs out;
  out.y = expected_array(op, "y", y, of_u.dtype, of_u.shape).as<void>();
  if (!last_state.is_none())
    out.last_state = expected_array(op, "last_state", last_state, "float32",
                                    {3, {sizes.batch, sizes.channels, sizes.states}})
                         .as<float>();
  cuda::forward(in, out, stream_of(stream));
}

template <std::size_t count>
std::array<head::Argument, count> arguments(const char* op, const std::array<const char*, count>& names,
                                            const py::args& args) {
  if (args.size() != count)
    throw py::type_error(std::string(op) + " takes " + std::to_string(count) + " arrays, got " +
                         std::to_string(args.size()));
  std::array<head::Argument, count> given;
  for (std::size_t i = 0; i < count; ++i) {
    const DeviceArray array = device_array(op, names[i], args[i]);
    const head::Type type = array.dtype == "float32" ? head::Type::float32
                            : array.dtype == "int8"  ? head::Type::int8
                                                     : head::Type::other;
    given[i] = {array.shape, type, array.as<void>()};
  }
  return given;
}

auto mco_mamba_of(const py::args& args) {
  return head::mco_mamba(arguments("mco_mamba", head::mco_mamba_names, args));
}
auto mcib_of(const py::args& args) { return head::mcib(arguments("mcib", head::mcib_names, args)); }
auto routed_experts_of(const py::args& args) {
  return head::routed_experts(arguments("routed_experts", head::routed_experts_names, args));
}

template <class Inputs>
float* workspace_for(const char* op, const Inputs& in, const py::object& object) {
  const auto floats = static_cast<std::int64_t>(cuda::workspace(in));
  return expected_array(op, "workspace", object, "float32", {1, {floats}}).template as<float>();
}

void mco_mamba(const py::args& args, const py::object& y, const py::object& workspace,
               std::uintptr_t stream) {
  const auto in = mco_mamba_of(args);
  const Shape shape{3, {in.batch, in.tokens, head::token_width}};
  cuda::run(in, expected_array("mco_mamba", "y", y, "float32", shape).as<float>(),
            workspace_for("mco_mamba", in, workspace), stream_of(stream));
}

void mcib(const py::args& args, const py::object& fused, const py::object& workspace, std::uintptr_t stream) {
  const auto in = mcib_of(args);
  const Shape shape{2, {in.batch, in.fusion.outputs}};
  cuda::run(in, expected_array("mcib", "fused", fused, "float32", shape).as<float>(),
            workspace_for("mcib", in, workspace), stream_of(stream));
}

void routed_experts(const py::args& args, const py::object& logits, const py::object& weights,
                    const py::object& workspace, std::uintptr_t stream) {
  const auto in = routed_experts_of(args);
  const Shape of_logits{2, {in.batch, in.labels}}, of_weights{2, {in.batch, head::experts}};
  cuda::run(in, expected_array("routed_experts", "logits", logits, "float32", of_logits).as<float>(),
            expected_array("routed_experts", "weights", weights, "float32", of_weights).as<float>(),
            workspace_for("routed_experts", in, workspace), stream_of(stream));
}

void accumulate(const py::object& t, const py::object& x, const py::object& y, const py::object& p,
                const py::object& image, std::int64_t after, std::int64_t until, float contribution,
                float neutral, const py::object& refused, std::uintptr_t stream) {
  const std::string op = "accumulate";
  const DeviceArray times = device_array(op, "t", t), grey = device_array(op, "image", image);
  const Shape& shape = times.shape;
  if (shape.rank != 1 || grey.shape.rank != 2)
    throw py::value_error("accumulate: t must have one axis and image two");
  if (grey.size() < 1 || grey.shape.axes[0] > 32767 || grey.shape.axes[1] > 32767)
    throw py::value_error("accumulate: image must have 1 to 32767 columns and rows");
  const cuda::Events events{expected_array(op, "t", t, "int64", shape).as<const std::int64_t>(),
                            expected_array(op, "x", x, "uint16", shape).as<const std::uint16_t>(),
                            expected_array(op, "y", y, "uint16", shape).as<const std::uint16_t>(),
                            expected_array(op, "p", p, "uint8", shape).as<const std::uint8_t>(),
                            shape.axes[0]};
  const cuda::Accumulation how{static_cast<int>(grey.shape.axes[1]),
                               static_cast<int>(grey.shape.axes[0]),
                               contribution,
                               neutral,
                               after,
                               until};
  std::uint32_t* count = refused.is_none()
                             ? nullptr
                             : expected_array(op, "refused", refused, "uint32", {1, {1}}).as<std::uint32_t>();
  cuda::accumulate(events, how, expected_array(op, "image", image, "uint8", grey.shape).as<std::uint8_t>(),
                   count, stream_of(stream));
}

struct Resize {
  Resize(int source_width, int source_height, std::tuple<int, int, int, int> box, int width, int height)
      : source{2, {source_height, source_width}},
        result{2, {height, width}},
        resize(checked_box(source_width, source_height, box, width, height), width, height) {}

  void operator()(const py::object& image, const py::object& out, std::uintptr_t stream) const {
    resize(expected_array("resize", "image", image, "uint8", source).as<const std::uint8_t>(),
           static_cast<std::size_t>(source.axes[1]),
           expected_array("resize", "out", out, "uint8", result).as<std::uint8_t>(), stream_of(stream));
  }

  Shape source, result;
  cuda::Resize resize;
};

}  // namespace

void add_cuda(py::module_& parent) {
  using namespace py::literals;
  py::module_ m = parent.def_submodule("cuda", "canthus's kernels on an NVIDIA GPU");
  py::class_<DeviceArray>(m, "DeviceArray").def(py::init(&make_array), "address"_a, "shape"_a, "dtype"_a);
  m.def("selective_scan", &selective_scan, "u"_a, "delta"_a, "A"_a, "B"_a, "C"_a, "D"_a = py::none(),
        "z"_a = py::none(), "delta_bias"_a = py::none(), "delta_softplus"_a = false, py::kw_only(), "y"_a,
        "last_state"_a = py::none(), "stream"_a = 0);
  m.attr("MOST_STATES") = cuda::most_states;
  m.def("mco_mamba", &mco_mamba, py::kw_only(), "y"_a, "workspace"_a, "stream"_a = 0);
  m.def("mcib", &mcib, py::kw_only(), "fused"_a, "workspace"_a, "stream"_a = 0);
  m.def("routed_experts", &routed_experts, py::kw_only(), "logits"_a, "weights"_a, "workspace"_a,
        "stream"_a = 0);
  m.def("mco_mamba_workspace", [](const py::args& args) { return cuda::workspace(mco_mamba_of(args)); });
  m.def("mcib_workspace", [](const py::args& args) { return cuda::workspace(mcib_of(args)); });
  m.def("routed_experts_workspace",
        [](const py::args& args) { return cuda::workspace(routed_experts_of(args)); });
  m.def("accumulate", &accumulate, "t"_a, "x"_a, "y"_a, "p"_a, py::kw_only(), "image"_a,
        "after"_a = std::numeric_limits<std::int64_t>::min(),
        "until"_a = std::numeric_limits<std::int64_t>::max(), "contribution"_a = 0.5f, "neutral"_a = 0.5f,
        "refused"_a = py::none(), "stream"_a = 0);
  py::class_<Resize>(m, "Resize")
      .def(py::init<int, int, std::tuple<int, int, int, int>, int, int>(), "source_width"_a,
           "source_height"_a, "box"_a, "width"_a, "height"_a)
      .def("__call__", &Resize::operator(), "image"_a, py::kw_only(), "out"_a, "stream"_a = 0);
}

}  // namespace canthus::python
