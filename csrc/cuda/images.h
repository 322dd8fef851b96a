// Event images and resizing on a GPU, for cameras that deliver there: the images are those of the CPU, bit
// for bit.
#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "image/resize_axis.h"

namespace canthus::cuda {

// Events in the order of time, in memory of the device.
struct Events {
  const std::int64_t* t;  // microseconds
  const std::uint16_t *x, *y;
  const std::uint8_t* p;  // 1: brighter, 0: darker
  std::int64_t count;
};

struct Accumulation {
  int width, height;
  float contribution, neutral;  // see EventWindow::render
  std::int64_t after, until;    // events of (after, until]
};

// Writes height x width grey values. Events outside the sensor, or of another polarity, are left out, and
// added to `refused`, a number in memory of the device that may be null.
void accumulate(const Events&, const Accumulation&, std::uint8_t* image, std::uint32_t* refused,
                cudaStream_t);

// canthus::Resize, from memory of the device to memory of the device.
class Resize {
 public:
  Resize(Box box, int width, int height);
  ~Resize();
  Resize(const Resize&) = delete;
  Resize& operator=(const Resize&) = delete;

  // Rows of image are row_bytes apart, those of out have no gaps. Allocates nothing.
  void operator()(const std::uint8_t* image, std::size_t row_bytes, std::uint8_t* out, cudaStream_t) const;

  struct Axis {
    int taps;
    const std::int32_t* first;
    const std::int32_t* weights;
  };

 private:
  Box box_;
  int width_, height_;
  Axis across_, down_;
  void* tables_ = nullptr;
};

}  // namespace canthus::cuda
