#include "head/arguments.h"

#include <stdexcept>
#include <string>

namespace canthus::head {
namespace {

// Gives an operator's arguments one by one, checked.
class Checked {
 public:
  Checked(const char* op, std::span<const char* const> names, std::span<const Argument> given)
      : op_(op), names_(names), given_(given) {}

  const Shape& shape(std::size_t i, int rank, const char* wanted) const {
    if (given_[i].shape.rank != rank) refuse(i, std::string("have shape ") + wanted, text(given_[i].shape));
    return given_[i].shape;
  }

  const float* floats(std::size_t i, Shape wanted) const {
    expect(i, wanted);
    if (given_[i].type != Type::float32) refuse(i, "be float32", "another type");
    return static_cast<const float*>(given_[i].data);
  }

  // Its scales are the argument behind it.
  Matrix matrix(std::size_t i, std::int64_t outputs, std::int64_t inputs) const {
    expect(i, {2, {outputs, inputs}});
    if (given_[i].type == Type::other) refuse(i, "be float32 or int8", "another type");
    return {given_[i].data, given_[i].type == Type::int8, floats(i + 1, {1, {outputs}}), outputs, inputs};
  }

 private:
  void expect(std::size_t i, const Shape& wanted) const {
    if (given_[i].shape != wanted) refuse(i, "have shape " + text(wanted), text(given_[i].shape));
  }

  [[noreturn]] void refuse(std::size_t i, const std::string& must, const std::string& got) const {
    const std::string found = given_[i].shape.given() ? got : "none";
    throw std::invalid_argument(std::string(op_) + ": " + names_[i] + " must " + must + ", got " + found);
  }

  const char* op_;
  std::span<const char* const> names_;
  std::span<const Argument> given_;
};

}  // namespace

McoMamba mco_mamba(std::span<const Argument, mco_mamba_names.size()> given) {
  const Checked checked("mco_mamba", mco_mamba_names, given);
  const Shape& x = checked.shape(0, 3, "(batch, tokens, 8)");
  McoMamba in;
  in.batch = x.axes[0];
  in.tokens = x.axes[1];
  in.x = checked.floats(0, {3, {in.batch, in.tokens, token_width}});
  in.in_proj = checked.floats(1, {2, {token_width, 2 * channels}});
  in.conv_weight = checked.floats(2, {3, {2, convolution_length, channels}});
  in.conv_bias = checked.floats(3, {2, {2, channels}});
  in.projection = checked.floats(4, {3, {2, channels, projected}});
  in.A = checked.floats(5, {3, {2, channels, states}});
  in.D = checked.floats(6, {2, {2, channels}});
  in.delta_bias = checked.floats(7, {2, {2, channels}});
  in.out_proj = checked.floats(8, {2, {channels, token_width}});
  return in;
}

Mcib mcib(std::span<const Argument, mcib_names.size()> given) {
  const Checked checked("mcib", mcib_names, given);
  const Shape& x = checked.shape(0, 3, "(batch, tokens, 8)");
  constexpr std::int64_t half = token_width / 2;
  Mcib in;
  in.batch = x.axes[0];
  in.tokens = x.axes[1];
  in.x = checked.floats(0, {3, {in.batch, in.tokens, token_width}});
  in.projection = checked.floats(1, {2, {token_width, 4 * token_width}});
  in.projection_bias = checked.floats(2, {1, {4 * token_width}});
  in.out_weight = checked.floats(3, {2, {half, half}});
  in.out_bias = checked.floats(4, {1, {half}});
  const std::int64_t width = checked.shape(5, 2, "(width, 4 tokens)").axes[0];
  in.fusion = checked.matrix(5, width, half * in.tokens);
  in.fusion_bias = checked.floats(7, {1, {width}});
  return in;
}

RoutedExperts routed_experts(std::span<const Argument, routed_experts_names.size()> given) {
  const Checked checked("routed_experts", routed_experts_names, given);
  const Shape& x = checked.shape(0, 2, "(batch, width)");
  RoutedExperts in;
  in.batch = x.axes[0];
  in.width = x.axes[1];
  in.labels = checked.shape(12, 2, "(3, labels)").axes[1];
  if (in.width % 2 || in.labels > in.width)
    throw std::invalid_argument("routed_experts: x must have an even width, of no fewer numbers than labels");
  const std::int64_t half = in.width / 2;
  in.x = checked.floats(0, {2, {in.batch, in.width}});
  const std::int64_t rows = 4 * in.width + 3 * half + 2 * in.labels;
  in.linear = checked.matrix(1, rows, in.width);
  in.linear_bias = checked.floats(3, {1, {rows}});
  in.norm_scale = checked.floats(4, {1, {in.width}});
  in.norm_shift = checked.floats(5, {1, {in.width}});
  in.router = checked.matrix(6, half, in.width);
  in.router_bias = checked.floats(8, {1, {half}});
  in.choice_weight = checked.floats(9, {2, {experts, half}});
  in.choice_bias = checked.floats(10, {1, {experts}});
  in.attention_weight = checked.floats(11, {3, {3, in.labels, in.width}});
  in.attention_bias = checked.floats(12, {2, {3, in.labels}});
  in.focal_weight = checked.floats(13, {3, {3, in.labels, half}});
  in.focal_bias = checked.floats(14, {2, {3, in.labels}});
  return in;
}

}  // namespace canthus::head
