// The operators of domain `canthus`. Each file of this folder that has some gives them here.
#pragma once
#include <vector>

#include "onnxruntime/operator.h"

namespace canthus::onnxruntime {

// They live as long as the library.
const std::vector<Operator>& selective_scan_operators();  // one per data type
const std::vector<Operator>& head_operators();
const std::vector<Operator>& ssd_operators();
const std::vector<Operator>&
cuda_operators();  // the first two again, for the CUDA provider; none without CUDA

}  // namespace canthus::onnxruntime
