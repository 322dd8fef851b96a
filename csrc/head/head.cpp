// Chooses the kernel, and cuts the work into units.
#include "head/head.h"

#include <algorithm>
#include <atomic>
#include <new>

#include "dispatch.h"
#include "head/experts.h"
#include "head/kernel.h"
#include "scratch.h"

namespace canthus::head {

CANTHUS_DEFINE_DISPATCH

namespace {

// Memory for one call; its units have theirs beside.
float* memory_of_call(std::int64_t floats) {
  float* memory = scratch(Scratch::of_call, static_cast<std::size_t>(floats));
  if (!memory && floats) throw std::bad_alloc();
  return memory;
}

std::int64_t parts(std::int64_t count, std::int64_t at_once) { return (count + at_once - 1) / at_once; }

template <class Function>
void for_each(const Parallel& parallel, std::int64_t count, Function function) {
  auto unit = [&](std::size_t index) { function(static_cast<std::int64_t>(index)); };
  parallel_for(parallel, static_cast<std::size_t>(count), unit);
}

// y (batch, outputs) of x (batch, inputs), by the first `outputs` rows of the matrix.
void dense(const Kernel& kernel, const Matrix& matrix, std::int64_t outputs, const float* bias,
           Activation activation, const float* x, std::int64_t batch, float* y, const Parallel& parallel) {
  for_each(parallel, parts(outputs, rows_at_once), [&](std::int64_t part) {
    const std::int64_t first = part * rows_at_once, last = std::min(first + rows_at_once, outputs);
    for (std::int64_t b = 0; b < batch; ++b)
      kernel.multiply({matrix, bias, first, last, activation}, x + b * matrix.inputs,
                      y + b * outputs + first);
  });
}

}  // namespace

void run(const Kernel& kernel, const McoMamba& in, float* y, const Parallel& parallel) {
  const std::int64_t of_direction = in.tokens * channels;
  float* directions = memory_of_call(in.batch * 2 * of_direction);
  std::atomic<bool> done{true};
  for_each(parallel, in.batch * 2, [&](std::int64_t unit) {
    if (!kernel.scan(in, unit / 2, unit % 2, directions + unit * of_direction)) done = false;
  });
  if (!done) throw std::bad_alloc();
  for (std::int64_t b = 0; b < in.batch; ++b) {
    const float* forward = directions + 2 * b * of_direction;
    kernel.join_directions(in, b, forward, forward + of_direction, y + b * in.tokens * token_width);
  }
}

void run(const Kernel& kernel, const Mcib& in, float* fused, const Parallel& parallel) {
  const std::int64_t stride = padded(in.tokens), of_item = planes * stride, of_fused = in.fusion.inputs;
  float* of_tokens = memory_of_call(in.batch * (of_item + padded(of_fused)));
  float* joined = of_tokens + in.batch * of_item;
  for (std::int64_t b = 0; b < in.batch; ++b) kernel.project(in, b, of_tokens + b * of_item);
  const std::int64_t blocks = parts(stride, queries_at_once);
  for_each(parallel, in.batch * heads * blocks, [&](std::int64_t unit) {
    const std::int64_t item = unit / (heads * blocks);
    kernel.attend(unit / blocks % heads, unit % blocks * queries_at_once, in.tokens,
                  of_tokens + item * of_item);
  });
  for (std::int64_t b = 0; b < in.batch; ++b) kernel.fuse(in, of_tokens + b * of_item, joined + b * of_fused);
  dense(kernel, in.fusion, in.fusion.outputs, in.fusion_bias, Activation::gelu, joined, in.batch, fused,
        parallel);
}

void run(const Kernel& kernel, const RoutedExperts& in, float* logits, float* weights,
         const Parallel& parallel) {
  const std::int64_t width = in.width, half = width / 2, labels = in.labels;
  float* routed = memory_of_call(in.batch * (width + half + experts + experts_used * width) + labels);
  float* hidden = routed + in.batch * width;
  float* choices = hidden + in.batch * half;
  float* results = choices + in.batch * experts;
  float* answer = results + in.batch * experts_used * width;

  dense(kernel, in.linear, width, in.linear_bias, Activation::none, in.x, in.batch, routed, parallel);
  for (std::int64_t b = 0; b < in.batch; ++b)
    kernel.normalise(in.norm_scale, in.norm_shift, width, routed + b * width);
  dense(kernel, in.router, half, in.router_bias, Activation::gelu, routed, in.batch, hidden, parallel);
  const Matrix choice_matrix{in.choice_weight, false, nullptr, experts, half};
  dense(kernel, choice_matrix, experts, in.choice_bias, Activation::none, hidden, in.batch, choices,
        parallel);

  std::fill_n(weights, in.batch * experts, 0.0f);
  const std::int64_t blocks = parts(width, rows_at_once), of_item = experts_used * blocks;
  const auto chosen = [&](std::int64_t b) { return choose(choices + b * experts); };
  for_each(parallel, in.batch * of_item, [&](std::int64_t unit) {
    const std::int64_t b = unit / of_item, place = unit / blocks % experts_used;
    const Expert one = expert(in, chosen(b).index[place]);
    const std::int64_t first = unit % blocks * rows_at_once, last = std::min(first + rows_at_once, one.rows);
    if (first >= last) return;
    const Activation activation = one.kind == focal ? Activation::gelu : Activation::none;
    kernel.multiply({in.linear, in.linear_bias, one.first + first, one.first + last, activation},
                    in.x + b * width, results + (b * experts_used + place) * width + first);
  });

  for (std::int64_t b = 0; b < in.batch; ++b) {
    const Choice choice = chosen(b);
    float* mixed = logits + b * labels;
    std::fill_n(mixed, labels, 0.0f);
    float sum = 1e-8f;
    for (int place = 0; place < experts_used; ++place) {
      const Expert one = expert(in, choice.index[place]);
      float* result = results + (b * experts_used + place) * width;
      const float* answers = result;
      if (one.kind != deep) {
        const std::int64_t inputs = one.rows, at = one.number * labels;
        if (one.kind == attention) kernel.normalise(nullptr, nullptr, inputs, result);
        const float* last = (one.kind == attention ? in.attention_weight : in.focal_weight) + at * inputs;
        const float* bias = (one.kind == attention ? in.attention_bias : in.focal_bias) + at;
        const Matrix matrix{last, false, nullptr, labels, inputs};
        kernel.multiply({matrix, bias, 0, labels, Activation::none}, result, answer);
        answers = answer;
      }
      const float weight = choice.weight[place];
      weights[b * experts + choice.index[place]] = weight;
      sum += weight;
      for (std::int64_t i = 0; i < labels; ++i) mixed[i] += weight * answers[i];
    }
    for (std::int64_t i = 0; i < labels; ++i) mixed[i] /= sum;
  }
}

}  // namespace canthus::head
