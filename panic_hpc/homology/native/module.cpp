// The door between Python and the core.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "diagrams.hpp"
#include "distances/distances.hpp"
#include "kernels/kernels.hpp"

namespace nb = nanobind;

namespace {

using Matrix = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Order = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Owned = nb::ndarray<nb::numpy, float, nb::ndim<2>>;

Owned array_of(std::unique_ptr<float[]> numbers, std::size_t rows, std::size_t columns) {
  float* data = numbers.release();
  nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<float*>(p); });
  return Owned(data, {rows, columns}, owner);
}

Owned array_of(const std::vector<lazy::Bar>& bars) {
  std::unique_ptr<float[]> numbers(new float[2 * bars.size() + 1]);
  for (std::size_t k = 0; k < bars.size(); ++k) {
    numbers[2 * k] = bars[k].birth;
    numbers[2 * k + 1] = bars[k].death;
  }
  return array_of(std::move(numbers), bars.size(), 2);
}

// Whether Python has a signal to handle; runs its handlers, which may raise.
bool interrupted() {
  nb::gil_scoped_acquire gil;
  return PyErr_CheckSignals() != 0;
}

lazy::Limits limits_of(double seconds, std::size_t bytes, std::uint64_t operations, int threads) {
  lazy::Limits limits;
  limits.seconds = seconds;
  limits.bytes = bytes;
  limits.operations = operations;
  limits.threads = threads;
  limits.interrupted = interrupted;
  return limits;
}

const char* name_of(lazy::Reason reason) {
  switch (reason) {
    case lazy::Reason::budget: return "budget";
    case lazy::Reason::deadline: return "deadline";
    case lazy::Reason::memory: return "memory";
    default: return "";
  }
}

nb::dict dict_of(const lazy::Answer& answer) {
  nb::dict result, seconds;
  nb::list diagrams;
  for (const auto& bars : answer.diagrams) diagrams.append(array_of(bars));
  for (const auto& [phase, duration] : answer.seconds) seconds[phase.c_str()] = duration;
  result["diagrams"] = diagrams;
  result["columns"] = answer.columns;
  result["seconds"] = seconds;
  result["peak_bytes"] = answer.peak_bytes;
  result["operations"] = answer.operations;
  result["stopped"] = name_of(answer.stopped);
  return result;
}

// Those rows of `points` that are numbered; Python has chosen the numbers, so that they are trusted.
std::vector<const float*> rows_of(const Matrix& points, const Order& order) {
  std::vector<const float*> rows(order.shape(0));
  for (std::size_t i = 0; i < rows.size(); ++i)
    rows[i] = points.data() + static_cast<std::size_t>(order.data()[i]) * points.shape(1);
  return rows;
}

// `order` says which rows of `array` are the points; without it `array` is their matrix.
nb::dict compute(Matrix array, std::optional<Order> order, int maxdim, float thresh, double noise_ratio,
                 std::size_t few_points, std::size_t many_points, int threads, double seconds, std::size_t bytes,
                 std::uint64_t operations) {
  lazy::Question question;
  if (order)
    question.points = rows_of(array, *order);
  else
    question.matrix = array.data();
  question.n = order ? order->shape(0) : array.shape(0);
  question.d = array.shape(1);
  if (question.n > lazy::kMaxPoints) throw nb::value_error("too many points");
  question.maxdim = maxdim;
  question.thresh = thresh;
  question.noise_ratio = noise_ratio;
  question.few_points = few_points;
  question.many_points = many_points;
  lazy::Answer answer;
  {
    nb::gil_scoped_release released;
    answer = lazy::compute(question, limits_of(seconds, bytes, operations, threads));
  }
  if (answer.stopped == lazy::Reason::interrupt) throw nb::python_error();
  return dict_of(answer);
}

Owned distances(Matrix points, int threads) {
  const std::size_t n = points.shape(0), d = points.shape(1);
  std::unique_ptr<float[]> matrix(new float[n * n + 1]);
  std::vector<const float*> rows(n);
  for (std::size_t i = 0; i < n; ++i) rows[i] = points.data() + i * d;
  bool stopped = false;
  {
    nb::gil_scoped_release released;
    lazy::Watch watch(limits_of(0, 0, 0, threads));
    try {
      lazy::distances(rows, d, matrix.get(), watch);
    } catch (const lazy::Stopped&) {
      stopped = true;
    }
  }
  if (stopped) throw nb::python_error();
  return array_of(std::move(matrix), n, n);
}

}  // namespace

NB_MODULE(_native, module) {
  module.doc() = "Exact Vietoris-Rips persistence; used through panic_hpc.homology.api.";
  nb::register_exception_translator([](const std::exception_ptr& pointer, void*) {
    try {
      std::rethrow_exception(pointer);
    } catch (const lazy::Overflow&) {
      PyErr_SetString(PyExc_OverflowError, "a distance is beyond float32");
    } catch (const lazy::NotFinite&) {
      PyErr_SetString(PyExc_FloatingPointError, "a number of the points is not finite");
    }
  });
  module.def("compute", &compute, nb::arg("array"), nb::arg("order").none(), nb::arg("maxdim"),
             nb::arg("thresh"), nb::arg("noise_ratio"), nb::arg("few_points"), nb::arg("many_points"),
             nb::arg("threads"), nb::arg("seconds"), nb::arg("bytes"), nb::arg("operations"));
  module.def("distances", &distances, nb::arg("points"), nb::arg("threads"));
  module.def("instruction_set", [] { return lazy::kernels().name; });
}
