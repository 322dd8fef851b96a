#include "onnxruntime/runtime.h"

#include <algorithm>

namespace canthus::onnxruntime {
namespace {

enum Slot : int {
  create_status = 0,
  create_custom_op_domain = 26,
  custom_op_domain_add = 27,
  add_custom_op_domain = 28,
  get_tensor_mutable_data = 51,
  get_tensor_element_type = 60,
  get_dimensions_count = 61,
  get_dimensions = 62,
  get_tensor_type_and_shape = 65,
  kernel_info_get_attribute_int64 = 86,
  kernel_context_get_input_count = 88,
  kernel_context_get_input = 90,
  kernel_context_get_output = 91,
  release_status = 93,
  release_tensor_type_and_shape_info = 99,
  release_allocator = 132,
  kernel_context_get_gpu_compute_stream = 193,
  kernel_context_parallel_for = 274,
  kernel_context_get_scratch_buffer = 277,
  kernel_info_get_allocator = 278,
};

constexpr int invalid_argument_code = 2;

template <class Function>
Function* function(const OrtApi* api, int slot) {
  return reinterpret_cast<Function*>(api->functions[slot]);
}

}  // namespace

template <class... Arguments>
void Runtime::call(int slot, Arguments... arguments) const {
  if (OrtStatus* status = function<OrtStatus*(Arguments...)>(api_, slot)(arguments...)) throw Failure{status};
}

OrtStatus* Runtime::invalid_argument(const char* message) const {
  return function<OrtStatus*(int, const char*)>(api_, create_status)(invalid_argument_code, message);
}

std::int64_t Runtime::attribute(const OrtKernelInfo* info, const char* name, std::int64_t otherwise) const {
  std::int64_t value = otherwise;
  try {
    call(kernel_info_get_attribute_int64, info, name, &value);
  } catch (const Failure& absent) {
    function<void(OrtStatus*)>(api_, release_status)(absent.status);
    return otherwise;
  }
  return value;
}

Tensor Runtime::input(const OrtKernelContext* context, std::size_t index) const {
  Tensor tensor;
  std::size_t count = 0;
  call(kernel_context_get_input_count, context, &count);
  if (index >= count) return tensor;
  const OrtValue* value = nullptr;
  call(kernel_context_get_input, context, index, &value);
  if (!value) return tensor;

  OrtTensorTypeAndShapeInfo* info = nullptr;
  call(get_tensor_type_and_shape, value, &info);
  struct Release {
    const OrtApi* api;
    OrtTensorTypeAndShapeInfo* info;
    ~Release() { function<void(OrtTensorTypeAndShapeInfo*)>(api, release_tensor_type_and_shape_info)(info); }
  } release{api_, info};
  const auto* const_info = static_cast<const OrtTensorTypeAndShapeInfo*>(info);
  std::size_t rank = 0;
  call(get_tensor_element_type, const_info, &tensor.type);
  call(get_dimensions_count, const_info, &rank);
  call(get_dimensions, const_info, tensor.shape.data(), std::min(rank, tensor.shape.size()));
  tensor.rank = static_cast<int>(rank);
  void* data = nullptr;
  call(get_tensor_mutable_data, const_cast<OrtValue*>(value), &data);
  tensor.data = data;
  return tensor;
}

void* Runtime::output(OrtKernelContext* context, std::size_t index, const std::int64_t* shape,
                      std::size_t rank) const {
  OrtValue* value = nullptr;
  call(kernel_context_get_output, context, index, shape, rank, &value);
  if (!value) return nullptr;
  void* data = nullptr;
  call(get_tensor_mutable_data, value, &data);
  return data;
}

Parallel Runtime::parallel(const Pool& pool) {
  const auto run = [](void* pool, std::size_t count, Task task, void* argument) {
    if (count == 0) return;
    const Pool& self = *static_cast<const Pool*>(pool);
    // The last but one argument: 0 leaves it to the runtime how many tasks a thread takes at once.
    self.runtime->call(kernel_context_parallel_for, self.context, task, count, std::size_t{0}, argument);
  };
  return {run, const_cast<Pool*>(&pool)};
}

OrtAllocator* Runtime::allocator(const OrtKernelInfo* info) const {
  constexpr int of_the_device = 0;
  OrtAllocator* allocator = nullptr;
  call(kernel_info_get_allocator, info, of_the_device, &allocator);
  return allocator;
}

void Runtime::release(OrtAllocator* allocator) const {
  function<void(OrtAllocator*)>(api_, release_allocator)(allocator);
}

void* Runtime::stream(const OrtKernelContext* context) const {
  void* stream = nullptr;
  call(kernel_context_get_gpu_compute_stream, context, &stream);
  return stream;
}

void* Runtime::scratch(const OrtKernelContext* context, OrtAllocator* allocator, std::size_t bytes) const {
  const OrtMemoryInfo* kind = allocator->Info(allocator);
  void* memory = nullptr;
  call(kernel_context_get_scratch_buffer, context, kind, bytes, &memory);
  return memory;
}

OrtCustomOpDomain* Runtime::create_domain(const char* name) const {
  OrtCustomOpDomain* domain = nullptr;
  call(create_custom_op_domain, name, &domain);
  return domain;
}

void Runtime::add(OrtCustomOpDomain* domain, const OrtCustomOp* op) const {
  call(custom_op_domain_add, domain, op);
}

void Runtime::add(OrtSessionOptions* options, OrtCustomOpDomain* domain) const {
  call(add_custom_op_domain, options, domain);
}

}  // namespace canthus::onnxruntime
