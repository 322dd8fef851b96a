// The kernels for one instruction set.
#include "instruction_set.h"
#include "selective_scan/units.h"

namespace canthus::selective_scan::CANTHUS_INSTRUCTION_SET {

#include "selective_scan/kernel_backward.h"

extern const Kernel kernel;
const Kernel kernel{CANTHUS_INSTRUCTION_SET_NAME, canthus::CANTHUS_INSTRUCTION_SET::runs_here, forward_unit,
                    backward_unit};

}  // namespace canthus::selective_scan::CANTHUS_INSTRUCTION_SET
