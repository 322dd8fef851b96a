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
};

struct Argument {
  int type;  // undefined: any
  Presence presence = required;
};

struct Operator : OrtCustomOp {
  const char* name;
  std::vector<Argument> inputs, outputs;
  const char* flag;  // an attribute, 0 or 1, that is 0 where it isn't given; or null
  void (*compute)(const Kernel&, OrtKernelContext*);  // may throw

  Operator(const char* name, std::vector<Argument> inputs, std::vector<Argument> outputs,
           void (*compute)(const Kernel&, OrtKernelContext*), const char* flag = nullptr);
};

}  // namespace canthus::onnxruntime
