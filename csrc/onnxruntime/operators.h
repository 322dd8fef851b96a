// The operators of domain `canthus`. Each file of this folder that has one gives it here.
#pragma once
#include <vector>

#include "onnxruntime/abi.h"

namespace canthus::onnxruntime {

// One per data type; they live as long as the library.
std::vector<const OrtCustomOp*> selective_scan_operators();

}  // namespace canthus::onnxruntime
