// One operator for ONNX Runtime, told by its arguments and the function that computes it.
#pragma once
#include <vector>

#include "onnxruntime/runtime.h"

namespace canthus::onnxruntime {

struct Operator;

// A node of a graph.
struct Kernel {
  Runtime runtime;
  const Operator* op;
  bool flag;
  OrtAllocator* allocator;  // of the GPU's memory; null on the CPU
};

struct Argument {
  int type;  // undefined: any
  Presence presence = required;
};

using Compute = void(const Kernel&, OrtKernelContext*);  // may throw

struct Operator : OrtCustomOp {
  const char* name;
  std::vector<Argument> inputs, outputs;
  const char* flag;  // an attribute, 0 or 1, that is 0 where it isn't given; or null
  Compute* compute;
  const char* provider = nullptr;  // of execution; null: the CPU

  Operator(const char* name, std::vector<Argument> inputs, std::vector<Argument> outputs, Compute* compute,
           const char* flag = nullptr);

  // The same operator for the CUDA provider: inputs and outputs are in the GPU's memory.
  Operator on_cuda(Compute*) const;
};

}  // namespace canthus::onnxruntime
