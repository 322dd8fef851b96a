#include "selective_scan/shapes.h"

#include <stdexcept>
#include <string>

namespace canthus::selective_scan {
namespace {

[[noreturn]] void refuse(const char* name, const Shape& shape, const std::string& wanted) {
  throw std::invalid_argument(std::string("selective_scan: ") + name + " must have shape " + wanted +
                              ", got " + text(shape));
}

void expect(const char* name, const Shape& shape, const char* letters, const Shape& wanted) {
  if (shape != wanted) refuse(name, shape, std::string(letters) + " = " + text(wanted));
}

// Returns the groups of a B or C that varies, 0 of a constant one.
std::int64_t groups_of(const char* name, const Shape& shape, const Sizes& sizes) {
  const std::int64_t groups = shape.rank == 4 ? shape.axes[1] : 1;
  if (shape == Shape{2, {sizes.channels, sizes.states}}) return 0;
  if (shape == Shape{3, {sizes.batch, sizes.states, sizes.tokens}}) return 1;
  if (shape == Shape{4, {sizes.batch, groups, sizes.states, sizes.tokens}} && groups > 0 &&
      sizes.channels % groups == 0)
    return groups;
  const Shape constant{2, {sizes.channels, sizes.states}};
  const Shape varying{3, {sizes.batch, sizes.states, sizes.tokens}};
  refuse(
      name, shape,
      "(D, N) = " + text(constant) + ", (B, N, L) = " + text(varying) + " or (B, G, N, L) with G dividing D");
}

}  // namespace

Sizes sizes_of(const Shapes& shapes) {
  Sizes sizes;
  if (shapes.u.rank != 3) refuse("u", shapes.u, "(B, D, L)");
  if (shapes.A.rank != 2) refuse("A", shapes.A, "(D, N)");
  sizes.batch = shapes.u.axes[0];
  sizes.channels = shapes.u.axes[1];
  sizes.tokens = shapes.u.axes[2];
  sizes.states = shapes.A.axes[1];
  const Shape per_channel{1, {sizes.channels}};
  expect("delta", shapes.delta, "that of u, (B, D, L)", shapes.u);
  expect("A", shapes.A, "(D, N)", {2, {sizes.channels, sizes.states}});
  if (shapes.D.given()) expect("D", shapes.D, "(D,)", per_channel);
  if (shapes.z.given()) expect("z", shapes.z, "that of u, (B, D, L)", shapes.u);
  if (shapes.delta_bias.given()) expect("delta_bias", shapes.delta_bias, "(D,)", per_channel);
  const std::int64_t of_b = groups_of("B", shapes.B, sizes);
  const std::int64_t of_c = groups_of("C", shapes.C, sizes);
  if (of_b && of_c && of_b != of_c)
    throw std::invalid_argument("selective_scan: B and C must have equally many groups, got " +
                                std::to_string(of_b) + " and " + std::to_string(of_c));
  if (of_b || of_c) sizes.groups = of_b ? of_b : of_c;
  return sizes;
}

void check_gradients(const Sizes& sizes, const Shape& y, const Shape& last_state) {
  expect("grad_y", y, "(B, D, L)", {3, {sizes.batch, sizes.channels, sizes.tokens}});
  if (last_state.given())
    expect("grad_last_state", last_state, "(B, D, N)", {3, {sizes.batch, sizes.channels, sizes.states}});
}

}  // namespace canthus::selective_scan
