// Checks the shapes, chooses the kernel and cuts the work into units.
#include "ssd/ssd.h"

#include <atomic>
#include <new>
#include <stdexcept>
#include <string>

#include "dispatch.h"
#include "scratch.h"

namespace canthus::ssd {

CANTHUS_DEFINE_DISPATCH

void forward(const Kernel& kernel, const Inputs& in, const Outputs& out, const Parallel& parallel) {
  const Sizes& sizes = in.sizes;
  if (sizes.batch == 0 || sizes.heads == 0) return;
  constexpr std::int64_t of_block = block_tokens * block_tokens;
  const std::int64_t blocks = sizes.batch * sizes.groups * blocks_of(sizes);
  float* const products = scratch(Scratch::of_call, static_cast<std::size_t>(blocks * of_block));
  if (blocks > 0 && !products) throw std::bad_alloc();
  std::atomic<bool> done{true};
  auto product = [&](std::size_t index) {
    const auto unit = static_cast<std::int64_t>(index);
    if (!kernel.products(in, unit, products + unit * of_block)) done = false;
  };
  auto head = [&](std::size_t index) {
    if (!kernel.forward(in, out, products, static_cast<std::int64_t>(index))) done = false;
  };
  parallel_for(parallel, blocks, product);
  if (done) parallel_for(parallel, sizes.batch * sizes.heads, head);
  if (!done) throw std::bad_alloc();
}

namespace {

[[noreturn]] void refuse(const char* name, const Shape& shape, const std::string& wanted) {
  throw std::invalid_argument(std::string("ssd: ") + name + " must have shape " + wanted + ", got " +
                              text(shape));
}

void expect(const char* name, const Shape& shape, const char* letters, const Shape& wanted) {
  if (shape != wanted) refuse(name, shape, std::string(letters) + " = " + text(wanted));
}

}  // namespace

Sizes sizes_of(const Shapes& shapes) {
  const Shape &x = shapes.x, &B = shapes.B;
  if (x.rank != 4) refuse("x", x, "(B, L, H, P)");
  Sizes sizes{x.axes[0], x.axes[1], x.axes[2], x.axes[3], 0, 1};
  expect("dt", shapes.dt, "(B, L, H)", {3, {sizes.batch, sizes.tokens, sizes.heads}});
  expect("A", shapes.A, "(H,)", {1, {sizes.heads}});
  const bool fits = B.rank == 4 && B.axes[0] == sizes.batch && B.axes[1] == sizes.tokens && B.axes[2] > 0 &&
                    sizes.heads % B.axes[2] == 0;
  if (!fits)
    refuse("B", B,
           "(B, L, G, N) with G dividing H, that is (" + std::to_string(sizes.batch) + ", " +
               std::to_string(sizes.tokens) + ", G, N)");
  sizes.groups = B.axes[2];
  sizes.states = B.axes[3];
  expect("C", shapes.C, "that of B, (B, L, G, N)", B);
  if (shapes.initial_state.given())
    expect("initial_state", shapes.initial_state, "(B, H, P, N)",
           {4, {sizes.batch, sizes.heads, sizes.head_size, sizes.states}});
  return sizes;
}

}  // namespace canthus::ssd
