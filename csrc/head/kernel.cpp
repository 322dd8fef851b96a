// The kernels for one instruction set.
#include "head/kernel.h"

#include "instruction_set.h"
#include "scratch.h"

namespace canthus::head::CANTHUS_INSTRUCTION_SET {

#include "head/kernel_dense.h"
#include "head/kernel_mcib.h"
#include "head/kernel_mco_mamba.h"

extern const Kernel kernel;
const Kernel kernel{
    CANTHUS_INSTRUCTION_SET_NAME,
    canthus::CANTHUS_INSTRUCTION_SET::runs_here,
    scan,
    join_directions,
    project,
    attend,
    fuse,
    multiply,
    normalise,
};

}  // namespace canthus::head::CANTHUS_INSTRUCTION_SET
