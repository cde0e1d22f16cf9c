// |x - y|^2 = |x|^2 + |y|^2 - 2 x.y, in float64, as a product of tiles.
//
// The inputs are float32, so each product fits float64 exactly and only the sums round, to about 1e-15
// of |x|^2 + |y|^2. Where the distance is small beside that, cancellation would show; such pairs are
// summed from differences. After rounding to float32 both ways are right to the last bit or nearly so.
// Either way the value of a pair depends on its two rows only and not on their order, so the matrix
// is symmetric and a permutation of the rows permutes it.
#include "distances.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels.hpp"

namespace lazy {
namespace {

// Share of |x|^2 + |y|^2 below which a squared distance is summed from differences: the rounding of
// the products then stays below 1e-10 of the result.
constexpr double kClose = 1e-5;

constexpr std::size_t kTile = 4;
constexpr std::size_t kBlock = 64;  // rows that stay in the cache together

struct Points {
  Array<double> numbers;  // rows x width, zeros behind the last row and the last column
  Array<double> squares;  // |x|^2
  std::size_t width;
};

Points widen(const float* rows, std::size_t n, std::size_t d, Watch& watch) {
  const std::size_t width = (d + kLanes - 1) / kLanes * kLanes;
  const std::size_t padded = (n + kTile - 1) / kTile * kTile;
  watch.need(padded * (width + 1) * sizeof(double));
  Points points{Array<double>(padded * width, watch.account), Array<double>(padded, watch.account), width};
  for (std::size_t i = 0; i < padded; ++i) {
    double* row = points.numbers.data() + i * width;
    const std::size_t filled = i < n ? d : 0;
    for (std::size_t k = 0; k < filled; ++k) row[k] = rows[i * d + k];
    std::fill(row + filled, row + width, 0.0);
  }
  for (std::size_t i = 0; i < padded; i += kTile) {
    double tile[kTile * kTile];
    const double* x = points.numbers.data() + i * width;
    kernels().products(x, x, width, tile);
    for (std::size_t r = 0; r < kTile; ++r) points.squares[i + r] = tile[r * kTile + r];
  }
  return points;
}

float distance(const Points& points, std::size_t i, std::size_t j, double product) {
  const double scale = points.squares[i] + points.squares[j];
  double squared = scale - 2 * product;
  if (!(squared >= kClose * scale)) {
    const double* x = points.numbers.data();
    squared = kernels().squared_difference(x + i * points.width, x + j * points.width, points.width);
  }
  return static_cast<float>(std::sqrt(squared));
}

// Rows [i, i + 4) against columns [j, j + 4), into a tile of a block.
void fill_tile(const Points& points, std::size_t i, std::size_t j, float* block) {
  double products[kTile * kTile];
  float lengths[kTile * kTile];
  const double* x = points.numbers.data();
  const double* squares = points.squares.data();
  kernels().products(x + i * points.width, x + j * points.width, points.width, products);
  if (!kernels().lengths(products, squares + i, squares + j, kClose, lengths))
    for (std::size_t k = 0; k < kTile * kTile; ++k)
      lengths[k] = distance(points, i + k / kTile, j + k % kTile, products[k]);
  for (std::size_t r = 0; r < kTile; ++r)
    std::copy(lengths + r * kTile, lengths + (r + 1) * kTile, block + r * kBlock);
}

// The block at `row` and `column`, and its mirror image; filled in the cache, then written row by row.
void fill_block(const Points& points, std::size_t row, std::size_t column, std::size_t n, float* matrix) {
  float block[kBlock * kBlock];
  const std::size_t height = std::min(kBlock, n - row), width = std::min(kBlock, n - column);
  for (std::size_t r = 0; r < height; r += kTile)
    for (std::size_t c = row == column ? r : 0; c < width; c += kTile)
      fill_tile(points, row + r, column + c, block + r * kBlock + c);
  for (std::size_t r = 0; r < height; ++r)
    for (std::size_t c = row == column ? r + 1 : 0; c < width; ++c)
      matrix[(row + r) * n + column + c] = block[r * kBlock + c];
  for (std::size_t c = 0; c < width; ++c)
    for (std::size_t r = 0, end = row == column ? c : height; r < end; ++r)
      matrix[(column + c) * n + row + r] = block[r * kBlock + c];
}

}  // namespace

void distances(const float* rows, std::size_t n, std::size_t d, float* matrix, Watch& watch) {
  const Points points = widen(rows, n, d, watch);
  const std::size_t blocks = (n + kBlock - 1) / kBlock;
  // Tasks are the blocks on and right of the diagonal, numbered along the rows of the full square.
  watch.parallel(blocks * blocks, 4, [&](std::size_t begin, std::size_t end) {
    for (std::size_t task = begin; task < end; ++task)
      if (task / blocks <= task % blocks)
        fill_block(points, task / blocks * kBlock, task % blocks * kBlock, n, matrix);
  });
  for (std::size_t i = 0; i < n; ++i) matrix[i * n + i] = 0;
  for (std::size_t i = 0; i < n; ++i)
    if (kernels().largest(matrix + i * n, n) > std::numeric_limits<float>::max()) throw Overflow{};
}

}  // namespace lazy
