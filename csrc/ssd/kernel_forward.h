// One block of one group, and one head. Included inside the instruction set's own namespace.
#pragma once
#include "ssd/kernel_product.h"

constexpr int block = static_cast<int>(block_tokens);
static_assert(block % lanes == 0);

// Rows of `width` floats to rows of whole vectors; what is beyond is zero.
static inline void copy_rows(RowsOf<const float> from, std::int64_t width, std::int64_t rows,
                             RowsOf<float> to) {
  for (std::int64_t row = 0; row < rows; ++row) {
    std::int64_t i = 0;
    for (; i < width; ++i) to.data[row * to.by_row + i] = from.data[row * from.by_row + i];
    for (; i < to.by_row; ++i) to.data[row * to.by_row + i] = 0.0f;
  }
}

// Rows (tokens, width) to (width, block); tokens that aren't there are zero.
static inline void turn(RowsOf<const float> from, std::int64_t width, int tokens, float* to) {
  std::int64_t column = 0;
  for (; column + lanes <= width; column += lanes)
    for (int token = 0; token < block; token += lanes) {
      Vector rows[lanes];
      for (int i = 0; i < lanes; ++i)
        rows[i] = token + i < tokens ? load(from.data + (token + i) * from.by_row + column) : Vector{};
      transpose(rows);
      for (int i = 0; i < lanes; ++i) store(to + (column + i) * block + token, rows[i]);
    }
  for (; column < width; ++column)
    for (int token = 0; token < block; ++token)
      to[column * block + token] = token < tokens ? from.data[token * from.by_row + column] : 0.0f;
}

// Some tokens of one batch element, and what is between them.
struct Tokens {
  std::int64_t first, last;  // among all tokens of all batch elements
  int count() const { return static_cast<int>(last - first); }
};

static inline Tokens tokens_of(const Sizes& sizes, std::int64_t batch, std::int64_t number) {
  const std::int64_t end = (batch + 1) * sizes.tokens, first = batch * sizes.tokens + number * block;
  return {first, first + block < end ? first + block : end};
}

// B or C of a group: (tokens, states).
static inline RowsOf<const float> rows_of(const float* of_all, const Sizes& sizes, Tokens tokens,
                                          std::int64_t group) {
  const std::int64_t by_row = sizes.groups * sizes.states;
  return {of_all + tokens.first * by_row + group * sizes.states, by_row};
}

static bool products_unit(const Inputs& in, std::int64_t unit, float* products) {
  const Sizes& sizes = in.sizes;
  const std::int64_t blocks = blocks_of(sizes), group = unit / blocks % sizes.groups;
  const Tokens tokens = tokens_of(sizes, unit / blocks / sizes.groups, unit % blocks);
  float* turned = scratch(Scratch::of_unit, static_cast<std::size_t>(block * padded(sizes.states)));
  if (!turned) return false;
  turn(rows_of(in.B, sizes, tokens, group), sizes.states, tokens.count(), turned);
  const RowsOf<const float> C = rows_of(in.C, sizes, tokens, group);
  add_product({C.data, C.by_row, 1}, tokens.count(), {turned, block}, block, sizes.states, 0.0f,
              {products, block});
  return true;
}

// What a head needs to work in, within this thread's scratch memory.
struct Memory {
  float* state;              // (states, width): S, its axes turned
  float *x, *x_weighed, *y;  // (block, width)
  float* C_decayed;          // (block, states)
  float* of_own_tokens;      // (block, block): how much of each x is in each y
};

static inline std::int64_t floats_needed(const Sizes& sizes, std::int64_t width) {
  return padded(sizes.states * width) + 3 * block * width + block * padded(sizes.states) + block * block;
}

static inline Memory lay_out(float* from, const Sizes& sizes, std::int64_t width) {
  Memory memory;
  memory.state = from, from += padded(sizes.states * width);
  memory.x = from, from += block * width;
  memory.x_weighed = from, from += block * width;
  memory.y = from, from += block * width;
  memory.C_decayed = from, from += block * padded(sizes.states);
  memory.of_own_tokens = from;
  return memory;
}

// How a head's state fades over a block. Decays are multiplied one by one, so that nothing is lost to the
// difference of large logarithms.
struct Fading {
  alignas(64) float from_start[block];  // until each token
  alignas(64) float to_end[block]{};    // of what each token added, times its dt
  float over_all = 1.0f;
};

// Also makes of the products of C with B, (block, block), how much of each x is in each y.
static inline Fading fade(const float* dt_of_first, std::int64_t by_token, int tokens, float A,
                          const float* products, float* of_own_tokens) {
  Fading fading;
  alignas(64) float dt[block]{}, decay[block], left[block]{};
  for (int t = 0; t < tokens; ++t) dt[t] = dt_of_first[t * by_token];
  for (int t = 0; t < block; t += lanes) store(decay + t, exp(A * load(dt + t)));
  for (int t = 0; t < tokens; ++t) {
    for (int s = 0; s < block; s += lanes) store(left + s, decay[t] * load(left + s));
    left[t] = 1.0f;
    fading.over_all *= decay[t];
    fading.from_start[t] = fading.over_all;
    for (int s = 0; s < block; s += lanes)
      store(of_own_tokens + t * block + s, load(products + t * block + s) * load(left + s) * load(dt + s));
  }
  for (int s = 0; s < block; s += lanes) store(fading.to_end + s, load(left + s) * load(dt + s));
  return fading;
}

static bool forward_unit(const Inputs& in, const Outputs& out, const float* products, std::int64_t unit) {
  const Sizes& sizes = in.sizes;
  const std::int64_t size = sizes.head_size, states = sizes.states, width = padded(size);
  const std::int64_t batch = unit / sizes.heads, head = unit % sizes.heads;
  const std::int64_t group = head / (sizes.heads / sizes.groups), blocks = blocks_of(sizes);
  float* memory = scratch(Scratch::of_unit, static_cast<std::size_t>(floats_needed(sizes, width)));
  if (!memory) return false;
  const Memory m = lay_out(memory, sizes, width);
  const float* before = in.initial_state ? in.initial_state + unit * size * states : nullptr;
  for (std::int64_t n = 0; n < states; ++n)
    for (std::int64_t p = 0; p < width; ++p)
      m.state[n * width + p] = before && p < size ? before[p * states + n] : 0.0f;

  const std::int64_t by_token = sizes.heads * size;
  const bool whole = size == width;  // heads of whole vectors are read and written in place
  products += (batch * sizes.groups + group) * blocks * block * block;
  for (std::int64_t number = 0; number < blocks; ++number, products += block * block) {
    const Tokens tokens = tokens_of(sizes, batch, number);
    const int count = tokens.count();
    const Fading fading = fade(in.dt + tokens.first * sizes.heads + head, sizes.heads, count, in.A[head],
                               products, m.of_own_tokens);
    const RowsOf<const float> given{in.x + tokens.first * by_token + head * size, by_token};
    const RowsOf<float> wanted{out.y + tokens.first * by_token + head * size, by_token};
    const RowsOf<const float> x = whole ? given : RowsOf<const float>{m.x, width};
    const RowsOf<float> y = whole ? wanted : RowsOf<float>{m.y, width};
    if (!whole) copy_rows(given, size, count, {m.x, width});
    const RowsOf<const float> B = rows_of(in.B, sizes, tokens, group),
                              C = rows_of(in.C, sizes, tokens, group);
    for (int t = 0; t < count; ++t) {
      for (std::int64_t n = 0; n < states; ++n)
        m.C_decayed[t * states + n] = fading.from_start[t] * C.data[t * C.by_row + n];
      for (std::int64_t p = 0; p < width; p += lanes)
        store(m.x_weighed + t * width + p, fading.to_end[t] * load(x.data + t * x.by_row + p));
    }
    add_product({m.C_decayed, states, 1}, count, {m.state, width}, width, states, 0.0f, y);
    add_product({m.of_own_tokens, block, 1}, count, x, width, count, 1.0f, y);
    add_product({B.data, 1, B.by_row}, states, {m.x_weighed, width}, width, count, fading.over_all,
                {m.state, width});
    if (!whole)
      for (int t = 0; t < count; ++t)
        for (std::int64_t p = 0; p < size; ++p) wanted.data[t * by_token + p] = y.data[t * width + p];
  }
  if (out.last_state)
    for (std::int64_t p = 0; p < size; ++p)
      for (std::int64_t n = 0; n < states; ++n)
        out.last_state[(unit * size + p) * states + n] = m.state[n * width + p];
  return true;
}
