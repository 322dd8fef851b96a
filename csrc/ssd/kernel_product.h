// Products of small matrices. Included inside the instruction set's own namespace.
#pragma once
#include "vector.h"

// A matrix whose element [row, column] is at data[row * by_row + column * by_column].
struct Matrix {
  const float* data;
  std::int64_t by_row, by_column;
};

// How many rows and vectors of a product are held in registers at once.
#if defined(__AVX512F__) || defined(__ARM_NEON)
constexpr int tile_rows = 4, tile_vectors = 4;
#else
constexpr int tile_rows = 4, tile_vectors = 2;
#endif

// Rows of whole vectors, `by_row` floats apart.
template <class Float>
struct RowsOf {
  Float* data;
  std::int64_t by_row;
  RowsOf from(std::int64_t row, std::int64_t column) const { return {data + row * by_row + column, by_row}; }
};

// to (rows, vectors) = scale to + a (rows, inner) times b (inner, vectors). With scale 0, `to` isn't read.
template <int rows, int vectors>
static inline void add_tile(Matrix a, RowsOf<const float> b, std::int64_t inner, float scale,
                            RowsOf<float> to) {
  Vector sums[rows][vectors]{};
  if (scale != 0.0f)
    for (int r = 0; r < rows; ++r)
      for (int v = 0; v < vectors; ++v) sums[r][v] = scale * load(to.data + r * to.by_row + v * lanes);
  for (std::int64_t i = 0; i < inner; ++i) {
    Vector right[vectors];
    for (int v = 0; v < vectors; ++v) right[v] = load(b.data + i * b.by_row + v * lanes);
    for (int r = 0; r < rows; ++r) {
      const float left = a.data[r * a.by_row + i * a.by_column];
      for (int v = 0; v < vectors; ++v) sums[r][v] += left * right[v];
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v) store(to.data + r * to.by_row + v * lanes, sums[r][v]);
}

template <int vectors>
static inline void add_columns(Matrix a, std::int64_t rows, RowsOf<const float> b, std::int64_t inner,
                               float scale, RowsOf<float> to) {
  std::int64_t row = 0;
  for (; row + tile_rows <= rows; row += tile_rows)
    add_tile<tile_rows, vectors>({a.data + row * a.by_row, a.by_row, a.by_column}, b, inner, scale,
                                 to.from(row, 0));
  for (; row < rows; ++row)
    add_tile<1, vectors>({a.data + row * a.by_row, a.by_row, a.by_column}, b, inner, scale, to.from(row, 0));
}

// to (rows, columns) = scale to + a (rows, inner) times b (inner, columns); `columns` is of whole vectors.
static void add_product(Matrix a, std::int64_t rows, RowsOf<const float> b, std::int64_t columns,
                        std::int64_t inner, float scale, RowsOf<float> to) {
  std::int64_t column = 0;
  for (; column + tile_vectors * lanes <= columns; column += tile_vectors * lanes)
    add_columns<tile_vectors>(a, rows, b.from(0, column), inner, scale, to.from(0, column));
  for (; column < columns; column += lanes)
    add_columns<1>(a, rows, b.from(0, column), inner, scale, to.from(0, column));
}
