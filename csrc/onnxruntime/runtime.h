// ONNX Runtime as C++: its statuses become exceptions, its tensors plain structs.
#pragma once
#include <array>
#include <cstdint>

#include "onnxruntime/abi.h"
#include "parallel.h"

namespace canthus::onnxruntime {

// Thrown where ONNX Runtime itself reports an error; the status goes back to it as it came.
struct Failure {
  OrtStatus* status;
};

struct Tensor {
  const void* data = nullptr;
  int type = undefined;
  int rank = -1;                        // -1: the optional input is absent
  std::array<std::int64_t, 4> shape{};  // of more than 4 axes only the first 4
};

class Runtime {
 public:
  explicit Runtime(const OrtApi* api) : api_(api) {}

  OrtStatus* invalid_argument(const char* message) const;

  // The attribute, or `otherwise` where the node hasn't got it.
  std::int64_t attribute(const OrtKernelInfo*, const char* name, std::int64_t otherwise) const;

  Tensor input(const OrtKernelContext*, std::size_t index) const;
  // Memory for an output; null if the graph doesn't use it.
  void* output(OrtKernelContext*, std::size_t index, const std::int64_t* shape, std::size_t rank) const;

  // Over the session's own threads. Lives as long as both arguments.
  struct Pool {
    const Runtime* runtime;
    const OrtKernelContext* context;
  };
  static Parallel parallel(const Pool&);

  // Of the execution provider that runs the kernel; to be released.
  OrtAllocator* allocator(const OrtKernelInfo*) const;
  void release(OrtAllocator*) const;

  // The stream that the CUDA provider computes on.
  void* stream(const OrtKernelContext*) const;
  // Memory of the allocator's kind for what is queued on that stream; to be given back with Free, also before
  // it ran.
  void* scratch(const OrtKernelContext*, OrtAllocator*, std::size_t bytes) const;

  OrtCustomOpDomain* create_domain(const char* name) const;
  void add(OrtCustomOpDomain*, const OrtCustomOp*) const;
  void add(OrtSessionOptions*, OrtCustomOpDomain*) const;

 private:
  template <class... Arguments>
  void call(int slot, Arguments... arguments) const;

  const OrtApi* api_;
};

}  // namespace canthus::onnxruntime
