// The operators for ONNX Runtime's CUDA provider: queued on its stream, with its memory.
#include <stdexcept>

#include "cuda/head.h"
#include "cuda/selective_scan.h"
#include "onnxruntime/head.h"
#include "onnxruntime/operators.h"
#include "onnxruntime/selective_scan.h"

namespace canthus::onnxruntime {
namespace {

cudaStream_t stream(const Kernel& kernel, OrtKernelContext* context) {
  return static_cast<cudaStream_t>(kernel.runtime.stream(context));
}

// What kernels of one call pass to each other. It may go to others as soon as the call's kernels are queued:
// what they queue comes later.
class Workspace {
 public:
  Workspace(const Kernel& kernel, OrtKernelContext* context, std::size_t floats)
      : allocator_(kernel.allocator),
        memory_(floats ? kernel.runtime.scratch(context, allocator_, floats * sizeof(float)) : nullptr) {
    if (floats && !memory_) throw std::runtime_error("the GPU has no memory left");
  }
  ~Workspace() {
    if (memory_) allocator_->Free(allocator_, memory_);
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  float* floats() const { return static_cast<float*>(memory_); }

 private:
  OrtAllocator* allocator_;
  void* memory_;
};

void selective_scan(const Kernel& kernel, OrtKernelContext* context) {
  const auto [in, out] = scan_arguments(kernel, context);
  cuda::forward(in, out, stream(kernel, context));
}

void mco_mamba(const Kernel& kernel, OrtKernelContext* context) {
  const auto [in, y] = mco_mamba_arguments(kernel, context);
  const Workspace workspace(kernel, context, cuda::workspace(in));
  cuda::run(in, y, workspace.floats(), stream(kernel, context));
}

void mcib(const Kernel& kernel, OrtKernelContext* context) {
  const auto [in, fused] = mcib_arguments(kernel, context);
  const Workspace workspace(kernel, context, cuda::workspace(in));
  cuda::run(in, fused, workspace.floats(), stream(kernel, context));
}

void routed_experts(const Kernel& kernel, OrtKernelContext* context) {
  const auto [in, logits, weights] = routed_experts_arguments(kernel, context);
  const Workspace workspace(kernel, context, cuda::workspace(in));
  cuda::run(in, logits, weights, workspace.floats(), stream(kernel, context));
}

}  // namespace

const std::vector<Operator>& cuda_operators() {
  static const std::vector<Operator> operators = [] {
    std::vector<Operator> made;
    for (const Operator& op : selective_scan_operators()) made.push_back(op.on_cuda(selective_scan));
    Compute* const of_head[] = {mco_mamba, mcib, routed_experts};  // in the order of head_operators
    for (std::size_t i = 0; i < head_operators().size(); ++i)
      made.push_back(head_operators()[i].on_cuda(of_head[i]));
    return made;
  }();
  return operators;
}

}  // namespace canthus::onnxruntime
