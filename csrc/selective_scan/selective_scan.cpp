// Chooses the kernel and cuts the work into units.
#include "selective_scan/selective_scan.h"

#include <algorithm>
#include <atomic>
#include <new>
#include <vector>

#include "dispatch.h"
#include "selective_scan/units.h"

namespace canthus::selective_scan {

CANTHUS_DEFINE_DISPATCH

void forward(const Kernel& kernel, const Inputs& in, const Outputs& out, const Parallel& parallel) {
  // Arrays without elements may still have sizes beyond counting; don't count.
  if (in.sizes.tokens == 0 && (in.sizes.states == 0 || !out.last_state)) return;
  std::atomic<bool> done{true};
  auto unit = [&](std::size_t index) {
    if (!kernel.forward(in, out, static_cast<std::int64_t>(index))) done = false;
  };
  parallel_for(parallel, in.sizes.batch * in.sizes.groups * units_per_group(in.sizes), unit);
  if (!done) throw std::bad_alloc();
}

namespace {

// Room for a gradient that each batch element gives a part of, and their sum.
class Parts {
 public:
  Parts(float* total, std::int64_t batch, std::int64_t size)
      : total_(total), size_(size), parts_(total ? batch * size : 0) {}
  float* data() { return parts_.data(); }
  void add_up() const {
    if (!total_) return;
    std::fill_n(total_, size_, 0.0f);
    for (std::size_t i = 0; i < parts_.size(); ++i) total_[i % size_] += parts_[i];
  }

 private:
  float* total_;
  std::int64_t size_;
  std::vector<float> parts_;
};

}  // namespace

void backward(const Kernel& kernel, const Inputs& in, const OutputGradients& from, const InputGradients& to,
              const Parallel& parallel) {
  const Sizes& sizes = in.sizes;
  const std::int64_t of_states = sizes.channels * sizes.states;
  Parts A(to.A, sizes.batch, of_states);
  Parts B(in.B.varies ? nullptr : to.B, sizes.batch, of_states);
  Parts C(in.C.varies ? nullptr : to.C, sizes.batch, of_states);
  Parts D(to.D, sizes.batch, sizes.channels);
  Parts delta_bias(to.delta_bias, sizes.batch, sizes.channels);
  InputGradients parts = to;
  parts.A = A.data();
  if (!in.B.varies) parts.B = B.data();
  if (!in.C.varies) parts.C = C.data();
  parts.D = D.data();
  parts.delta_bias = delta_bias.data();

  std::atomic<bool> done{true};
  auto unit = [&](std::size_t index) {
    if (!kernel.backward(in, from, parts, static_cast<std::int64_t>(index))) done = false;
  };
  parallel_for(parallel, sizes.batch * sizes.groups, unit);
  if (!done) throw std::bad_alloc();
  for (const Parts* sum : {&A, &B, &C, &D, &delta_bias}) sum->add_up();
}

}  // namespace canthus::selective_scan
