// What SessionOptions.register_custom_ops_library calls.
#include <exception>

#include "onnxruntime/operators.h"
#include "onnxruntime/runtime.h"

using canthus::onnxruntime::Failure;
using canthus::onnxruntime::Operator;
using canthus::onnxruntime::Runtime;

extern "C" __attribute__((visibility("default"))) OrtStatus* RegisterCustomOps(OrtSessionOptions* options,
                                                                               const OrtApiBase* base) {
  const OrtApi* api = base->GetApi(canthus::onnxruntime::api_version);
  // Making a status is as old as the ABI itself.
  if (!api)
    return Runtime(base->GetApi(1)).invalid_argument("canthus's operators need ONNX Runtime 1.23 or later");
  const Runtime runtime(api);
  try {
    // Sessions refer to it for as long as they live, so it is made once and never released.
    static OrtCustomOpDomain* const domain = [&] {
      OrtCustomOpDomain* made = runtime.create_domain("canthus");
      for (const Operator& op : canthus::onnxruntime::selective_scan_operators()) runtime.add(made, &op);
      for (const Operator& op : canthus::onnxruntime::head_operators()) runtime.add(made, &op);
      for (const Operator& op : canthus::onnxruntime::ssd_operators()) runtime.add(made, &op);
#if defined(CANTHUS_CUDA)
      for (const Operator& op : canthus::onnxruntime::cuda_operators()) runtime.add(made, &op);
#endif
      return made;
    }();
    runtime.add(options, domain);
  } catch (const Failure& failure) {
    return failure.status;
  } catch (const std::exception& error) {
    return runtime.invalid_argument(error.what());
  }
  return nullptr;
}
