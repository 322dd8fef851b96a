#include <vector>

#include "cuda/images.h"
#include "cuda/launch.h"
#include "image/kernel.h"

namespace canthus::cuda {
namespace {

constexpr int pixels_of_warp = 2048;
constexpr int loads_at_once = 4;

// A warp has some pixels, and goes over all events: those of one pixel must be taken in their order.
__global__ void __launch_bounds__(lanes_of_warp)
    accumulate_pixels(const Events events, const Accumulation how, std::uint8_t* image,
                      std::uint32_t* refused) {
  __shared__ float potential[pixels_of_warp];
  const int lane = threadIdx.x, pixels = how.width * how.height;
  const int first = blockIdx.x * pixels_of_warp;
  const int own = pixels - first < pixels_of_warp ? pixels - first : pixels_of_warp;
  for (int i = lane; i < own; i += lanes_of_warp) potential[i] = how.neutral;
  __syncwarp();
  for (std::int64_t begin = 0; begin < events.count; begin += loads_at_once * lanes_of_warp) {
    int place[loads_at_once];
    bool brighter[loads_at_once];
#pragma unroll
    for (int k = 0; k < loads_at_once; ++k) {
      const std::int64_t i = begin + k * lanes_of_warp + lane;
      place[k] = -1;
      brighter[k] = false;
      if (i >= events.count || events.t[i] <= how.after || events.t[i] > how.until) continue;
      const int x = events.x[i], y = events.y[i], p = events.p[i];
      if (x >= how.width || y >= how.height || p > 1) {
        if (refused && blockIdx.x == 0) atomicAdd(refused, 1u);
        continue;
      }
      const int pixel = y * how.width + x - first;
      if (pixel >= 0 && pixel < own) place[k] = pixel;
      brighter[k] = p == 1;
    }
#pragma unroll
    for (int k = 0; k < loads_at_once; ++k) {
      if (!__any_sync(every_lane, place[k] >= 0)) continue;
      const unsigned others = __match_any_sync(every_lane, place[k]);
      const unsigned up = __ballot_sync(every_lane, brighter[k]);
      if (place[k] >= 0 && lane == __ffs(static_cast<int>(others)) - 1) {
        float now = potential[place[k]];
        for (unsigned left = others; left; left &= left - 1) {
          const bool is_up = up >> (__ffs(static_cast<int>(left)) - 1) & 1u;
          now = fminf(fmaxf(is_up ? now + how.contribution : now - how.contribution, 0.0f), 1.0f);
        }
        potential[place[k]] = now;
      }
      __syncwarp();
    }
  }
  for (int i = lane; i < own; i += lanes_of_warp)
    image[first + i] = static_cast<std::uint8_t>(potential[i] * 255.0f);
}

__device__ int rounded(int sum) {
  const int pixel = sum >> image::one_bits;
  return pixel > 255 ? 255 : pixel;
}

// A thread has a pixel of the result. Rows are resized and rounded first, as by the CPU.
__global__ void resize(const std::uint8_t* image, std::size_t row_bytes, int box_width, int box_height,
                       int width, int height, Resize::Axis across, Resize::Axis down, std::uint8_t* out) {
  constexpr int half = 1 << (image::one_bits - 1);
  const int pixel = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (pixel >= width * height) return;
  const int x = pixel % width, y = pixel / width, left = across.first[x];
  const std::int32_t *of_columns = across.weights + x * across.taps, *of_rows = down.weights + y * down.taps;
  int sum = half;
  for (int k = 0; k < down.taps && down.first[y] + k < box_height; ++k) {
    const std::uint8_t* row = image + (down.first[y] + k) * row_bytes;
    int in_row = half;
    for (int i = 0; i < across.taps && left + i < box_width; ++i) in_row += of_columns[i] * row[left + i];
    sum += of_rows[k] * rounded(in_row);
  }
  out[pixel] = static_cast<std::uint8_t>(rounded(sum));
}

}  // namespace

void accumulate(const Events& events, const Accumulation& how, std::uint8_t* image, std::uint32_t* refused,
                cudaStream_t stream) {
  const std::int64_t pixels = static_cast<std::int64_t>(how.width) * how.height;
  launch(accumulate_pixels, blocks_for(pixels, pixels_of_warp), lanes_of_warp, stream, events, how, image,
         refused);
}

Resize::Resize(Box box, int width, int height) : box_(box), width_(width), height_(height) {
  const ResizeAxis across(box.right - box.left, width, 1), down(box.bottom - box.top, height, 1);
  std::vector<std::int32_t> tables;
  const auto append = [&tables](const std::vector<std::int32_t>& more) {
    const std::size_t at = tables.size();
    tables.insert(tables.end(), more.begin(), more.end());
    return at;
  };
  const std::size_t places[] = {append(across.first), append(across.weights), append(down.first),
                                append(down.weights)};
  const std::size_t bytes = tables.size() * sizeof(std::int32_t);
  check(cudaMalloc(&tables_, bytes), "resize: no memory for its tables");
  const auto* on_device = static_cast<const std::int32_t*>(tables_);
  across_ = {across.taps, on_device + places[0], on_device + places[1]};
  down_ = {down.taps, on_device + places[2], on_device + places[3]};
  if (const cudaError_t error = cudaMemcpy(tables_, tables.data(), bytes, cudaMemcpyHostToDevice)) {
    cudaFree(tables_);
    check(error, "resize: its tables can't be copied");
  }
}

Resize::~Resize() { cudaFree(tables_); }

void Resize::operator()(const std::uint8_t* image, std::size_t row_bytes, std::uint8_t* out,
                        cudaStream_t stream) const {
  const std::uint8_t* in = image + box_.top * row_bytes + box_.left;
  launch(resize, blocks_for(static_cast<std::int64_t>(width_) * height_, 128), 128, stream, in, row_bytes,
         box_.right - box_.left, box_.bottom - box_.top, width_, height_, across_, down_, out);
}

}  // namespace canthus::cuda
