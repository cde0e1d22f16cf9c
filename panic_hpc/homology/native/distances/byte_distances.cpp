#include "distances/byte_distances.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/byte_tiles.hpp"
#include "kernels/kernels.hpp"

namespace lazy {
namespace {

constexpr std::size_t kFewRows = 64, kFewNumbers = 64;  // for which slicing does not pay
constexpr std::size_t kMostNumbers = 1 << 14;           // whose sums fit the integers
constexpr std::size_t kBlock = 12;                      // tiles of rows that stay in the cache together
constexpr double kMostDoubt = 4e-9;                     // error of a square by |x|^2: one in ten is in doubt

std::size_t whole(std::size_t count, std::size_t piece) { return (count + piece - 1) / piece; }

// Rows in digits, and what is known of the errors.
class SlicedRows {
 public:
  SlicedRows(const Rows& rows, const ByteTiles& tiles, Watch& watch)
      : n_groups(whole(rows.n, kTileRows)), n_chunks(whole(rows.d, kTileBytes)),
        left_(n_groups * group_size(), watch.account), right_(n_groups * group_size(), watch.account),
        bounds_(kColumns * n_groups * kTileRows, watch.account), left_over_(rows.n * kMostLeft, watch.account),
        n_left_(rows.n), squares_(rows.squares) {
    std::fill_n(left_.data() + (n_groups - 1) * group_size(), group_size(), std::int8_t{0});
    std::fill_n(bounds_.data(), bounds_.size(), 0.0);
    watch.parallel(n_groups, 8, [&](std::size_t begin, std::size_t end) {
      for (std::size_t group = begin; group < end; ++group) {
        for (std::size_t i = group * kTileRows; i < std::min(rows.n, (group + 1) * kTileRows); ++i)
          slice(rows, tiles, i);
        tiles.transpose(left(group), n_chunks * kDigits, right_.data() + group * group_size());
      }
    });
  }

  static std::size_t bytes(const Rows& rows) {
    const std::size_t n = whole(rows.n, kTileRows) * kTileRows;
    const std::size_t digits = 2 * whole(rows.d, kTileBytes) * kTileBytes * kDigits;
    return n * (digits + kColumns * sizeof(double) + kMostLeft * sizeof(LeftOver));
  }

  const std::int8_t* left(std::size_t group) const { return left_.data() + group * group_size(); }
  const std::int8_t* right(std::size_t group) const { return right_.data() + group * group_size(); }
  RowBounds bounds() const { return {squares_, column(0), column(1), column(2), column(3)}; }

  // The product of two rows, of which the tiles gave `product`, and a bound of its error; false where
  // too much is left over of one of the rows.
  bool refine(const Rows& rows, std::size_t i, std::size_t j, double& product, double& error) const {
    if (n_left_[i] > kMostLeft || n_left_[j] > kMostLeft) return false;
    product += left_over_product(i, rows.row(j)) + left_over_product(j, rows.row(i));
    const auto of = [this](std::size_t k) { return column(k); };
    error = 2 * (of(1)[i] * of(4)[j] + of(4)[i] * of(1)[j]) + of(2)[i] * of(2)[j] + of(5)[i] * of(6)[j] +
            of(6)[i] * of(5)[j];
    return true;
  }

  // Whether few lengths will be in doubt, which costs more than all others.
  bool are_clear() const {
    double error = 0, square = 0;
    for (std::size_t i = 0; i < n_groups * kTileRows; ++i) {
      error += 2 * column(1)[i] * column(2)[i] + column(3)[i] * column(3)[i];
      square += squares_[i];
    }
    return error <= kMostDoubt * square;
  }

  const std::size_t n_groups, n_chunks;

 private:
  std::size_t group_size() const { return n_chunks * kDigits * kTileSize; }
  double* column(std::size_t k) { return bounds_.data() + k * n_groups * kTileRows; }
  const double* column(std::size_t k) const { return bounds_.data() + k * n_groups * kTileRows; }

  void slice(const Rows& rows, const ByteTiles& tiles, std::size_t i) {
    rows.set_square(i);
    const float* row = rows.row(i);
    float largest = tiles.largest(row, rows.d);
    // Of zeros the digits of any unit are zeros, and nothing is left over.
    if (largest == 0) largest = 1;
    // The largest number becomes at most 127 x 2^24 units.
    int exponent;
    const bool fits = std::frexp(largest, &exponent) <= 127.0f / 128;
    const double unit = std::ldexp(1.0, exponent - (fits ? 31 : 30));
    std::int8_t* to = left_.data() + i / kTileRows * group_size();
    const RowSums sums =
        tiles.slice(row, rows.d, unit, i % kTileRows, n_chunks, to, left_over_.data() + i * kMostLeft);
    n_left_[i] = sums.n_left;
    const double norm = std::sqrt(rows.squares[i]), up = 1 + 1e-9;
    // A sum of d / 8 products in each of eight lanes rounds as often, each time by 2^-53 of |x||y|.
    const double rounding = (static_cast<double>(rows.d) / 8 + 8) * 1.2e-16 * norm;
    column(0)[i] = unit;
    column(1)[i] = norm * (1 + 1e-6);
    column(2)[i] = (std::sqrt(sums.left_over) + rounding) * up;
    const double third = std::sqrt(sums.third), fourth = std::sqrt(sums.fourth);
    column(3)[i] = unit * 16 * (third + fourth) * up;
    column(4)[i] = rounding * up;
    // A third digit counts 2^8 units, and the product of two fourth ones is shared by both sides.
    column(5)[i] = unit * 256 * (third + fourth / 512) * up;
    column(6)[i] = unit * fourth * up;
  }

  // What is left over of row i, times another row.
  double left_over_product(std::size_t i, const float* other) const {
    double sum = 0;
    const LeftOver* left = left_over_.data() + i * kMostLeft;
    for (std::size_t k = 0; k < n_left_[i]; ++k)
      sum += static_cast<double>(left[k].value) * static_cast<double>(other[left[k].place]);
    return sum;
  }

  static constexpr std::size_t kColumns = 7;

  Array<std::int8_t> left_, right_;
  Array<double> bounds_;  // by column: units, norms, errors, tails; rounding, third and fourth digits
  Array<LeftOver> left_over_;
  std::vector<std::size_t> n_left_;
  const double* squares_;
};

// Tiles of the matrix and their mirror images; on the diagonal what lies below it.
class Writer {
 public:
  Writer(const Rows& rows, const SlicedRows& sliced, const ByteTiles& tiles, float* matrix)
      : rows_(rows), sliced_(sliced), tiles_(tiles), matrix_(matrix), strip_(kBlock) {}

  // A group of rows with the groups from `begin` to `end`, at most kBlock of them.
  void write(std::size_t group, std::size_t begin, std::size_t end) {
    tiles_.lengths(sliced_.left(group), sliced_.right(begin), end - begin, sliced_.n_chunks, sliced_.bounds(),
                   group * kSide, begin * kSide, kClose, strip_.data());
    for (std::size_t other = begin; other < end; ++other)
      write_tile(group * kSide, other * kSide, strip_[other - begin]);
  }

 private:
  static constexpr std::size_t kSide = kTileRows;

  void write_tile(std::size_t row, std::size_t column, TileLengths& tile) const {
    float mirrored[kSide * kSide];
    const std::size_t height = std::min(kSide, rows_.n - row), width = std::min(kSide, rows_.n - column);
    for (std::size_t r = 0; r < height; ++r)
      for (unsigned bits = tile.doubtful[r] & ((1u << width) - 1); bits != 0; bits &= bits - 1) {
        const unsigned c = static_cast<unsigned>(__builtin_ctz(bits));
        float& length = tile.lengths[r * kSide + c];
        if (!settle(row + r, column + c, tile.products[r * kSide + c], length))
          length = exactly(row + r, column + c);
      }
    tiles_.put(tile.lengths, height, width, matrix_ + row * rows_.n + column, rows_.n);
    tiles_.transpose(tile.lengths, 1, mirrored);
    tiles_.put(mirrored, width, height, matrix_ + column * rows_.n + row, rows_.n);
  }

  // As the kernel does it, with a smaller bound, or from differences where the rows are close for certain;
  // returns whether that was enough.
  bool settle(std::size_t i, std::size_t j, double product, float& length) const {
    double error;
    if (!sliced_.refine(rows_, i, j, product, error)) return false;
    const double scale = rows_.squares[i] + rows_.squares[j], squared = scale - 2 * product;
    error = 2 * error + 1e-15 * scale;
    if (squared + error < kClose * scale) {
      // What distance() would see, whatever the rounding of its product.
      length = static_cast<float>(std::sqrt(kernels().squared_difference(rows_.row(i), rows_.row(j), rows_.d)));
      return true;
    }
    if (!(squared >= 2 * kClose * scale && 1e-3 * squared >= error)) return false;
    const double root = std::sqrt(squared), wide = 0.51 * error / root + 5e-16 * root;
    length = static_cast<float>(root - wide);
    return length == static_cast<float>(root + wide);
  }

  float exactly(std::size_t i, std::size_t j) const {
    return distance(rows_, i, j, kernels().product(rows_.row(i), rows_.row(j), rows_.d));
  }

  const Rows& rows_;
  const SlicedRows& sliced_;
  const ByteTiles& tiles_;
  float* matrix_;
  std::vector<TileLengths> strip_;
};

}  // namespace

bool byte_distances(const Rows& rows, float* matrix, Watch& watch) {
  const ByteTiles* tiles = kernels().byte_tiles;
  if (tiles == nullptr || rows.n < kFewRows || rows.d < kFewNumbers || rows.d > kMostNumbers) return false;
  watch.need(SlicedRows::bytes(rows));
  const SlicedRows sliced(rows, *tiles, watch);
  if (!sliced.are_clear()) return false;
  const std::size_t n_blocks = whole(sliced.n_groups, kBlock);
  // Tasks are blocks on and right of the diagonal, numbered along the rows of the full square.
  watch.parallel(n_blocks * n_blocks, 1, [&](std::size_t task, std::size_t) {
    const std::size_t block = task / n_blocks, other = task % n_blocks;
    if (block > other) return;
    Writer writer(rows, sliced, *tiles, matrix);
    tiles->begin();
    const std::size_t end = std::min(sliced.n_groups, (block + 1) * kBlock);
    const std::size_t other_end = std::min(sliced.n_groups, (other + 1) * kBlock);
    for (std::size_t a = block * kBlock; a < end; ++a)
      writer.write(a, std::max(a, other * kBlock), other_end);
    tiles->end();
  });
  return true;
}

}  // namespace lazy
