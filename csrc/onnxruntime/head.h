// What a node of the head is given, for whichever device computes it.
#pragma once
#include "head/head.h"
#include "onnxruntime/operator.h"

namespace canthus::onnxruntime {

struct McoMambaArguments {
  head::McoMamba in;
  float* y;
};

struct McibArguments {
  head::Mcib in;
  float* fused;
};

struct RoutedExpertsArguments {
  head::RoutedExperts in;
  float *logits, *weights;
};

// All throw std::invalid_argument for types and shapes that don't fit.
McoMambaArguments mco_mamba_arguments(const Kernel&, OrtKernelContext*);
McibArguments mcib_arguments(const Kernel&, OrtKernelContext*);
RoutedExpertsArguments routed_experts_arguments(const Kernel&, OrtKernelContext*);

}  // namespace canthus::onnxruntime
