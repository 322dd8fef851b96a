// The kernel for one instruction set.
#include "instruction_set.h"
#include "scratch.h"
#include "ssd/ssd.h"

namespace canthus::ssd::CANTHUS_INSTRUCTION_SET {

#include "ssd/kernel_forward.h"

extern const Kernel kernel;
const Kernel kernel{CANTHUS_INSTRUCTION_SET_NAME, canthus::CANTHUS_INSTRUCTION_SET::runs_here, products_unit,
                    forward_unit};

}  // namespace canthus::ssd::CANTHUS_INSTRUCTION_SET
