// The operators of domain `canthus`. Each file of this folder that has some gives them here.
#pragma once
#include <vector>

#include "onnxruntime/abi.h"

namespace canthus::onnxruntime {

// They live as long as the library.
std::vector<const OrtCustomOp*> selective_scan_operators();  // one per data type
std::vector<const OrtCustomOp*> head_operators();

}  // namespace canthus::onnxruntime
