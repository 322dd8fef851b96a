#include "onnxruntime/operator.h"

#include <exception>
#include <utility>

namespace canthus::onnxruntime {
namespace {

const Operator& self(const OrtCustomOp* op) { return *static_cast<const Operator*>(op); }

template <class Function>
OrtStatus* as_status(const Runtime& runtime, Function function) {
  try {
    function();
  } catch (const Failure& failure) {
    return failure.status;
  } catch (const std::exception& error) {
    return runtime.invalid_argument(error.what());
  }
  return nullptr;
}

OrtStatus* create_kernel(const OrtCustomOp* op, const OrtApi* api, const OrtKernelInfo* info, void** kernel) {
  const Runtime runtime(api);
  return as_status(runtime, [&] {
    const char* flag = self(op).flag;
    OrtAllocator* allocator = self(op).provider ? runtime.allocator(info) : nullptr;
    *kernel = new Kernel{runtime, &self(op), flag && runtime.attribute(info, flag, 0) != 0, allocator};
  });
}

void destroy_kernel(void* pointer) {
  const Kernel* kernel = static_cast<Kernel*>(pointer);
  if (kernel->allocator) kernel->runtime.release(kernel->allocator);
  delete kernel;
}

OrtStatus* compute_kernel(void* pointer, OrtKernelContext* context) {
  const Kernel& kernel = *static_cast<Kernel*>(pointer);
  return as_status(kernel.runtime, [&] { kernel.op->compute(kernel, context); });
}

}  // namespace

Operator::Operator(const char* name_, std::vector<Argument> inputs_, std::vector<Argument> outputs_,
                   Compute* compute_, const char* flag_)
    : OrtCustomOp{},
      name(name_),
      inputs(std::move(inputs_)),
      outputs(std::move(outputs_)),
      flag(flag_),
      compute(compute_) {
  version = api_version;
  GetName = [](const OrtCustomOp* op) { return self(op).name; };
  GetExecutionProviderType = [](const OrtCustomOp* op) { return self(op).provider; };
  GetInputTypeCount = [](const OrtCustomOp* op) { return self(op).inputs.size(); };
  GetInputType = [](const OrtCustomOp* op, std::size_t i) { return self(op).inputs[i].type; };
  GetInputCharacteristic = [](const OrtCustomOp* op, std::size_t i) -> int {
    return self(op).inputs[i].presence;
  };
  GetOutputTypeCount = [](const OrtCustomOp* op) { return self(op).outputs.size(); };
  GetOutputType = [](const OrtCustomOp* op, std::size_t i) { return self(op).outputs[i].type; };
  GetOutputCharacteristic = [](const OrtCustomOp* op, std::size_t i) -> int {
    return self(op).outputs[i].presence;
  };
  GetInputMemoryType = [](const OrtCustomOp*, std::size_t) { return 0; };
  GetVariadicInputMinArity = GetVariadicOutputMinArity = [](const OrtCustomOp*) { return 1; };
  GetVariadicInputHomogeneity = GetVariadicOutputHomogeneity = [](const OrtCustomOp*) { return 1; };
  CreateKernelV2 = create_kernel;
  KernelComputeV2 = compute_kernel;
  KernelDestroy = destroy_kernel;
  GetStartVersion = [](const OrtCustomOp*) { return 1; };
  GetEndVersion = [](const OrtCustomOp*) { return 1; };
}

Operator Operator::on_cuda(Compute* compute_on_cuda) const {
  Operator op = *this;
  op.provider = "CUDAExecutionProvider";
  op.compute = compute_on_cuda;
  return op;
}

}  // namespace canthus::onnxruntime
