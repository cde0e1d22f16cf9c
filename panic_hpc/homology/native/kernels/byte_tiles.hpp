// Distances by matrix instructions on bytes, where a processor has them, with the same bits as elsewhere.
//
// 1. A row is split into 31-bit multiples of a power of two, its unit, and what is left over; the
//    multiples into four signed digits of a byte each, the highest first.
// 2. Sums of products of digits are exact in integers. The three smallest of the 16 are left out; a bound
//    of them and what was left over bound the error of a squared distance.
// 3. A length whose whole interval rounds to one float32 is that of distances.cpp, whose own rounding the
//    interval includes; any other is in doubt.
// 4. What is left over of a row is zero but for its few small numbers. Of a pair in doubt its products with
//    the other row are added, which leaves the bound of the digits; if that does not settle it, the
//    length is computed as in distances.cpp.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lazy {

inline constexpr std::size_t kTileRows = 16;
inline constexpr std::size_t kTileBytes = 64;  // of a row
inline constexpr std::size_t kDigits = 4;
inline constexpr std::size_t kMostLeft = 48;
inline constexpr std::size_t kTileSize = kTileRows * kTileBytes;

// What is known of 16 rows each, for all rows one after the other.
struct RowBounds {
  const double* squares;   // |x|^2, as distances.cpp has it
  const double* units;
  const double* norms;     // at least |x|
  const double* errors;    // at least what is left over, and what rounding adds to a product by |x|
  const double* tails;     // at least the two lowest digits: products of two of them bound what is left out
};

struct RowSums {
  double left_over;  // squares of what is left over
  double third, fourth;  // squares of digits
  std::size_t n_left;    // numbers of which something is left over
};

// What is left over of a number, and its place in the row.
struct LeftOver {
  float value;
  std::uint32_t place;
};

// Lengths of 16 x 16 pairs, and the products that they are made of.
struct TileLengths {
  float lengths[kTileRows * kTileRows];
  double products[kTileRows * kTileRows];
  std::uint16_t doubtful[kTileRows];  // bit c of the r-th says that a length means nothing
};

struct ByteTiles {
  // Whether the system lets this process use the registers; asked once.
  bool (*ready)();

  // The largest absolute value of a row.
  float (*largest)(const float* row, std::size_t d);

  // Digits of row `place` of 16: `tiles` are n_chunks x kDigits tiles of 16 x 64 bytes. Of what is left
  // over the first kMostLeft are put into `left`.
  RowSums (*slice)(const float* row, std::size_t d, double unit, std::size_t place, std::size_t n_chunks,
                   std::int8_t* tiles, LeftOver* left);

  // Rows become columns in tiles of 16 x 16 numbers of four bytes. Of digits that is the right-hand form.
  void (*transpose)(const void* tiles, std::size_t n_tiles, void* transposed);

  // Writes the first rows and columns of 16 x 16 numbers into a matrix of so many columns.
  void (*put)(const float* numbers, std::size_t height, std::size_t width, float* to, std::size_t columns);

  // Lengths of 16 rows, those from `row` on, and n_rights times 16 others, from `column` on.
  void (*lengths)(const std::int8_t* left, const std::int8_t* rights, std::size_t n_rights, std::size_t n_chunks,
                  const RowBounds& bounds, std::size_t row, std::size_t column, double close, TileLengths* out);

  // Between these two calls a thread may call lengths().
  void (*begin)();
  void (*end)();
};

}  // namespace lazy
