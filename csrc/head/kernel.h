// What is compiled once for each instruction set, and the memory that its pieces pass to each other.
#pragma once
#include "head/head.h"
#include "scratch.h"

namespace canthus::head {

// Tokens that the Mamba takes at a time.
inline constexpr std::int64_t block_tokens = 64;

// What Mcib has of each token, as planes (…, padded tokens).
enum Plane : std::int64_t {
  itself = 0,
  query = 8,
  key = 16,
  value = 24,
  is_token = 32,
  heard = 33,
  planes = 41
};
inline constexpr std::int64_t heads = 4;  // two of the frame, that asks the event, then two of the event
inline constexpr std::int64_t queries_at_once = 64;

inline constexpr std::int64_t rows_at_once = 64;

enum class Activation { none, gelu };

// y[row] = activation(matrix[row] · x + bias[row]) of `first` to `last`.
struct Rows {
  const Matrix& matrix;
  const float* bias;
  std::int64_t first, last;
  Activation activation;
};

struct Kernel {
  const char* name;  // "baseline", "avx2", "avx512" or "neon"
  bool (*runs_here)();
  // One direction of one batch element, (tokens, 16), in the tokens' own order; false if memory ran out.
  bool (*scan)(const McoMamba&, std::int64_t batch, std::int64_t direction, float* y);
  void (*join_directions)(const McoMamba&, std::int64_t batch, const float* forward, const float* backward,
                          float* y);
  void (*project)(const Mcib&, std::int64_t batch, float* of_tokens);
  void (*attend)(std::int64_t head, std::int64_t first_query, std::int64_t tokens, float* of_tokens);
  void (*fuse)(const Mcib&, const float* of_tokens, float* fused);  // (tokens, 4)
  void (*multiply)(const Rows&, const float* x, float* y);          // y[0] is the first row's
  void (*normalise)(const float* scale, const float* shift, std::int64_t count, float* x);  // null: 1 and 0
};

}  // namespace canthus::head
