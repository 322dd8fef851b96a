// What a SelectiveScan node is given, for whichever device computes it.
#pragma once
#include "onnxruntime/operator.h"
#include "selective_scan/selective_scan.h"

namespace canthus::onnxruntime {

struct ScanArguments {
  selective_scan::Inputs in;
  selective_scan::Outputs out;
};

// Throws std::invalid_argument for types and shapes that don't fit.
ScanArguments scan_arguments(const Kernel&, OrtKernelContext*);

}  // namespace canthus::onnxruntime
