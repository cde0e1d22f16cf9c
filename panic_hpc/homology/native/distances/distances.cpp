// |x - y|^2 = |x|^2 + |y|^2 - 2 x.y, in float64, as a product of tiles.
//
// The inputs are float32, so each product fits float64 exactly and only the sums round, to about 1e-15
// of |x|^2 + |y|^2. Where the distance is small beside that, cancellation would show; such pairs are
// summed from differences. After rounding to float32 both ways are right to the last bit or nearly so.
// Either way the value of a pair depends on its two rows only and not on their order, so the matrix
// is symmetric and a permutation of the rows permutes it.
#include "distances/distances.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "distances/byte_distances.hpp"
#include "kernels/kernels.hpp"

namespace lazy {
namespace {

constexpr std::size_t kTile = 4;
constexpr std::size_t kPadding = 16;  // rows are padded to the largest of all tiles
constexpr std::size_t kBlock = 64;    // rows that stay in the cache together

std::size_t padded(std::size_t n) { return (n + kPadding - 1) / kPadding * kPadding; }

struct Points {
  Array<double> numbers;  // rows x width, zeros behind the last row and the last column
  std::size_t width;
};

Points widen(const Rows& rows, Watch& watch) {
  const std::size_t width = (rows.d + kLanes - 1) / kLanes * kLanes;
  watch.need(padded(rows.n) * width * sizeof(double));
  Points points{Array<double>(padded(rows.n) * width, watch.account), width};
  for (std::size_t i = 0; i < padded(rows.n); ++i) {
    double* row = points.numbers.data() + i * width;
    const std::size_t filled = i < rows.n ? rows.d : 0;
    for (std::size_t k = 0; k < filled; ++k) row[k] = rows.row(i)[k];
    std::fill(row + filled, row + width, 0.0);
  }
  return points;
}

// Rows [i, i + 4) against columns [j, j + 4), into a tile of a block.
void fill_tile(const Rows& rows, const Points& points, std::size_t i, std::size_t j, float* block) {
  double products[kTile * kTile];
  float lengths[kTile * kTile];
  const double* x = points.numbers.data();
  kernels().products(x + i * points.width, x + j * points.width, points.width, products);
  if (!kernels().lengths(products, rows.squares + i, rows.squares + j, kClose, lengths))
    for (std::size_t r = 0; r < std::min(kTile, rows.n - i); ++r)
      for (std::size_t c = 0; c < std::min(kTile, rows.n - j); ++c)
        lengths[r * kTile + c] = distance(rows, i + r, j + c, products[r * kTile + c]);
  for (std::size_t r = 0; r < kTile; ++r)
    std::copy(lengths + r * kTile, lengths + (r + 1) * kTile, block + r * kBlock);
}

// The block at `row` and `column`, and its mirror image; filled in the cache, then written row by row.
void fill_block(const Rows& rows, const Points& points, std::size_t row, std::size_t column, float* matrix) {
  float block[kBlock * kBlock];
  const std::size_t n = rows.n;
  const std::size_t height = std::min(kBlock, n - row), width = std::min(kBlock, n - column);
  for (std::size_t r = 0; r < height; r += kTile)
    for (std::size_t c = row == column ? r : 0; c < width; c += kTile)
      fill_tile(rows, points, row + r, column + c, block + r * kBlock + c);
  for (std::size_t r = 0; r < height; ++r)
    for (std::size_t c = row == column ? r + 1 : 0; c < width; ++c)
      matrix[(row + r) * n + column + c] = block[r * kBlock + c];
  for (std::size_t c = 0; c < width; ++c)
    for (std::size_t r = 0, end = row == column ? c : height; r < end; ++r)
      matrix[(column + c) * n + row + r] = block[r * kBlock + c];
}

void tile_distances(const Rows& rows, float* matrix, Watch& watch) {
  const Points points = widen(rows, watch);
  const std::size_t blocks = (rows.n + kBlock - 1) / kBlock;
  // Tasks are the blocks on and right of the diagonal, numbered along the rows of the full square.
  watch.parallel(blocks * blocks, 4, [&](std::size_t begin, std::size_t end) {
    for (std::size_t task = begin; task < end; ++task)
      if (task / blocks <= task % blocks)
        fill_block(rows, points, task / blocks * kBlock, task % blocks * kBlock, matrix);
  });
}

}  // namespace

void Rows::set_square(std::size_t i) const {
  // In an order of its own, rows are not seen coming.
  if (i + 2 < n)
    for (std::size_t k = 0; k < d; k += 16) __builtin_prefetch(row(i + 2) + k);
  squares[i] = kernels().product(row(i), row(i), d);
  // No sum of squares of float32 is beyond float64.
  if (!std::isfinite(squares[i])) throw NotFinite{};
}

float distance(const Rows& rows, std::size_t i, std::size_t j, double product) {
  const double scale = rows.squares[i] + rows.squares[j];
  double squared = scale - 2 * product;
  if (!(squared >= kClose * scale)) squared = kernels().squared_difference(rows.row(i), rows.row(j), rows.d);
  return static_cast<float>(std::sqrt(squared));
}

void distances(const std::vector<const float*>& numbers, std::size_t d, float* matrix, Watch& watch) {
  const std::size_t n = numbers.size();
  watch.need(padded(n) * sizeof(double));
  Array<double> squares(padded(n), watch.account);
  std::fill(squares.data() + n, squares.data() + padded(n), 0.0);
  const Rows rows{numbers.data(), n, d, squares.data()};
  if (!byte_distances(rows, matrix, watch)) {
    for (std::size_t i = 0; i < n; ++i) rows.set_square(i);
    tile_distances(rows, matrix, watch);
  }
  for (std::size_t i = 0; i < n; ++i) matrix[i * n + i] = 0;
  // No distance is longer than twice the longest row, so that hardly ever has the matrix to be read.
  const double longest = 2 * std::sqrt(*std::max_element(squares.data(), squares.data() + padded(n)));
  if (longest < 0.99 * std::numeric_limits<float>::max()) return;
  for (std::size_t i = 0; i < n; ++i)
    if (kernels().largest(matrix + i * n, n) > std::numeric_limits<float>::max()) throw Overflow{};
}

}  // namespace lazy
