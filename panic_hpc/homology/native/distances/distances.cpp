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
#include <memory>

#include "distances/byte_distances.hpp"
#include "kernels/kernels.hpp"

namespace lazy {
namespace {

constexpr std::size_t kBlock = 48;  // points whose numbers stay in the cache together: whole panels and byte tiles

std::size_t padded(std::size_t n) { return (n + kBlock - 1) / kBlock * kBlock; }

// Panels of points, each of eight lanes, of which the l-th has the numbers l, l + 8 and so on.
class Panels {
 public:
  Panels(const Rows& rows, Watch& watch)
      : width(kernels().panel), count((rows.n + width - 1) / width), n_steps_((rows.d + kLanes - 1) / kLanes),
        numbers_(count * width * n_steps_ * kLanes, watch.account) {
    watch.parallel(count, 8, [&](std::size_t begin, std::size_t end) {
      for (std::size_t panel = begin; panel < end; ++panel)
        for (std::size_t step = 0; step < n_steps_; ++step) fill(rows, panel, step);
    });
  }

  static std::size_t bytes(const Rows& rows) {
    return padded(rows.n) * ((rows.d + kLanes - 1) / kLanes) * kLanes * sizeof(double);
  }

  // Sums of two panels in one lane.
  void sum(std::size_t a, std::size_t b, std::size_t l, bool adds, double* out) const {
    kernels().products(lane(a, l), lane(b, l), n_steps_, adds, out);
  }

  const std::size_t width;  // points of a panel
  const std::size_t count;

 private:
  double* lane(std::size_t panel, std::size_t l) {
    return numbers_.data() + (panel * kLanes + l) * n_steps_ * width;
  }
  const double* lane(std::size_t panel, std::size_t l) const { return const_cast<Panels*>(this)->lane(panel, l); }

  // Eight numbers of each point of a panel; zeros behind the last number and behind the last row.
  void fill(const Rows& rows, std::size_t panel, std::size_t step) {
    for (std::size_t p = 0; p < width; ++p) {
      const std::size_t i = panel * width + p, first = step * kLanes;
      const std::size_t filled = i < rows.n ? std::min(kLanes, rows.d - first) : 0;
      double* const to = lane(panel, 0) + step * width + p;
      for (std::size_t l = 0; l < filled; ++l) to[l * n_steps_ * width] = rows.row(i)[first + l];
      for (std::size_t l = filled; l < kLanes; ++l) to[l * n_steps_ * width] = 0;
    }
  }

  const std::size_t n_steps_;
  Array<double> numbers_;
};

// Blocks of the matrix, one after the other.
class Writer {
 public:
  Writer(const Rows& rows, const Panels& panels, float* matrix)
      : rows_(rows), panels_(panels), matrix_(matrix), n_(kBlock / panels.width),
        sums_(new double[3 * kBlock * kBlock]), lengths_(new float[kBlock * kBlock]) {}

  // The block at `row` and `column`, and its mirror image; filled in the cache, then written row by row.
  void write(std::size_t row, std::size_t column) {
    multiply(row / panels_.width, column / panels_.width);
    const std::size_t n = rows_.n, height = std::min(kBlock, n - row), width = std::min(kBlock, n - column);
    for (std::size_t r = 0; r < height; ++r) {
      const std::size_t p = r / panels_.width;
      for (std::size_t q = row == column ? p : 0; q * panels_.width < width; ++q)
        measure(row + r, column + q * panels_.width, tile(0, p, q) + r % panels_.width * panels_.width,
                lengths_.get() + r * kBlock + q * panels_.width);
    }
    const float* const block = lengths_.get();
    for (std::size_t r = 0; r < height; ++r)
      for (std::size_t c = row == column ? r + 1 : 0; c < width; ++c)
        matrix_[(row + r) * n + column + c] = block[r * kBlock + c];
    for (std::size_t c = 0; c < width; ++c)
      for (std::size_t r = 0, end = row == column ? c : height; r < end; ++r)
        matrix_[(column + c) * n + row + r] = block[r * kBlock + c];
  }

 private:
  // The k-th sums of the p-th panel of rows and the q-th of columns.
  double* tile(std::size_t k, std::size_t p, std::size_t q) {
    return sums_.get() + k * kBlock * kBlock + (p * n_ + q) * panels_.width * panels_.width;
  }

  // Products of the panels from `a` and from `b` on, lane by lane, which stay in the first cache, and added
  // up as Kernels::product does it: ((0 + 4) + (2 + 6)) + ((1 + 5) + (3 + 7)).
  void multiply(std::size_t a, std::size_t b) {
    const auto for_tiles = [&](const auto& visit) {
      for (std::size_t p = 0; p < std::min(n_, panels_.count - a); ++p)
        for (std::size_t q = a == b ? p : 0; q < std::min(n_, panels_.count - b); ++q) visit(p, q);
    };
    const auto pair = [&](std::size_t k, std::size_t l) {
      for (const bool second : {false, true})
        for_tiles([&](std::size_t p, std::size_t q) {
          panels_.sum(a + p, b + q, second ? l + 4 : l, second, tile(k, p, q));
        });
    };
    const auto add = [&](std::size_t k, std::size_t more) {
      for_tiles([&](std::size_t p, std::size_t q) {
        double* const to = tile(k, p, q);
        const double* const from = tile(more, p, q);
        for (std::size_t i = 0; i < panels_.width * panels_.width; ++i) to[i] += from[i];
      });
    };
    pair(0, 0);
    pair(1, 2);
    add(0, 1);
    pair(1, 1);
    pair(2, 3);
    add(1, 2);
    add(0, 1);
  }

  // Lengths of row i and a panel of columns.
  void measure(std::size_t i, std::size_t column, const double* products, float* out) const {
    if (kernels().lengths(products, rows_.squares[i], rows_.squares + column, kClose, out)) return;
    for (std::size_t c = 0; c < std::min(panels_.width, rows_.n - column); ++c)
      out[c] = distance(rows_, i, column + c, products[c]);
  }

  const Rows& rows_;
  const Panels& panels_;
  float* matrix_;
  const std::size_t n_;  // panels of a block
  const std::unique_ptr<double[]> sums_;  // of products
  const std::unique_ptr<float[]> lengths_;
};

void panel_distances(const Rows& rows, float* matrix, Watch& watch) {
  watch.need(Panels::bytes(rows));
  const Panels panels(rows, watch);
  const std::size_t blocks = padded(rows.n) / kBlock;
  // Tasks are the blocks on and right of the diagonal, numbered along the rows of the full square.
  watch.parallel(blocks * blocks, 4, [&](std::size_t begin, std::size_t end) {
    Writer writer(rows, panels, matrix);
    for (std::size_t task = begin; task < end; ++task)
      if (task / blocks <= task % blocks) writer.write(task / blocks * kBlock, task % blocks * kBlock);
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
    panel_distances(rows, matrix, watch);
  }
  for (std::size_t i = 0; i < n; ++i) matrix[i * n + i] = 0;
  // No distance is longer than twice the longest row, so that hardly ever has the matrix to be read.
  const double longest = 2 * std::sqrt(*std::max_element(squares.data(), squares.data() + padded(n)));
  if (longest < 0.99 * std::numeric_limits<float>::max()) return;
  for (std::size_t i = 0; i < n; ++i)
    if (kernels().largest(matrix + i * n, n) > std::numeric_limits<float>::max()) throw Overflow{};
}

}  // namespace lazy
