// ONNX Runtime's operators for the CUDA provider, whose kernels run on the CPU: a library like canthus_ops,
// for the CPU's provider. ONNX Runtime's functions that only the CUDA provider has are played.
#include "onnxruntime/operators.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>

#include "head/head.h"
#include "onnxruntime/runtime.h"
#include "selective_scan/selective_scan.h"

namespace {

using namespace canthus::onnxruntime;

// Memory that holds no number until it is written.
void* allocate(OrtAllocator*, std::size_t bytes) {
  void* memory = std::malloc(bytes);
  return memory ? std::memset(memory, 0xff, bytes) : nullptr;
}
void free_memory(OrtAllocator*, void* memory) { std::free(memory); }
const OrtMemoryInfo* info(const OrtAllocator*) { return nullptr; }
OrtAllocator allocator{23, allocate, free_memory, info};

OrtStatus* get_allocator(const OrtKernelInfo*, int, OrtAllocator** out) {
  *out = &allocator;
  return nullptr;
}
void release_allocator(OrtAllocator*) {}
OrtStatus* get_stream(const OrtKernelContext*, void** out) {
  *out = nullptr;
  return nullptr;
}
OrtStatus* get_scratch(const OrtKernelContext*, const OrtMemoryInfo*, std::size_t bytes, void** out) {
  *out = allocate(&allocator, bytes);
  return nullptr;
}

template <class Function>
auto as_slot(Function* function) {
  return reinterpret_cast<void (*)()>(function);
}

using Slots = void (*[std::size(OrtApi{}.functions)])();

const OrtApi* played(const OrtApi* api) {
  static Slots slots = {};
  std::copy(std::begin(api->functions), std::end(api->functions), std::begin(slots));
  slots[132] = as_slot(release_allocator);
  slots[193] = as_slot(get_stream);
  slots[277] = as_slot(get_scratch);
  slots[278] = as_slot(get_allocator);
  return reinterpret_cast<const OrtApi*>(&slots);
}

OrtStatus* (*create)(const OrtCustomOp*, const OrtApi*, const OrtKernelInfo*, void**);

}  // namespace

// The CPU's kernels, which the other provider's halves of the operators refer to.
namespace canthus::selective_scan {
const Kernel& fastest_kernel() { std::abort(); }
void forward(const Kernel&, const Inputs&, const Outputs&, const Parallel&) { std::abort(); }
}  // namespace canthus::selective_scan
namespace canthus::head {
const Kernel& fastest_kernel() { std::abort(); }
void run(const Kernel&, const McoMamba&, float*, const Parallel&) { std::abort(); }
void run(const Kernel&, const Mcib&, float*, const Parallel&) { std::abort(); }
void run(const Kernel&, const RoutedExperts&, float*, float*, const Parallel&) { std::abort(); }
}  // namespace canthus::head

extern "C" __attribute__((visibility("default"))) OrtStatus* RegisterCustomOps(OrtSessionOptions* options,
                                                                               const OrtApiBase* base) {
  const Runtime runtime(base->GetApi(api_version));
  static OrtCustomOpDomain* const domain = [&] {
    static std::deque<Operator> operators(cuda_operators().begin(), cuda_operators().end());
    OrtCustomOpDomain* made = runtime.create_domain("canthus");
    for (Operator& op : operators) {
      op.provider = "CPUExecutionProvider";
      create = op.CreateKernelV2;
      op.CreateKernelV2 = [](const OrtCustomOp* op, const OrtApi* api, const OrtKernelInfo* info,
                             void** kernel) { return create(op, played(api), info, kernel); };
      runtime.add(made, &op);
    }
    return made;
  }();
  runtime.add(options, domain);
  return nullptr;
}
