#include "diagrams.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <limits>
#include <memory>
#include <new>

#include "annotations/annotated_loops.hpp"
#include "annotations/annotated_voids.hpp"
#include "distances/distances.hpp"
#include "edges/components.hpp"
#include "edges/late_edges.hpp"
#include "edges/lune_roots.hpp"
#include "edges/neighbourhood_graph.hpp"

namespace lazy {
namespace {

// Most points whose triangles may get a row each: 400 uniform ones take 0.25 GB, 500 take 1 GB.
constexpr std::size_t kMostAnnotated = 400;  // also in cost.py

// Operations an edge that the reduction of H2 may take where a sweep could take over.
constexpr std::uint64_t kPatience = 4;
constexpr std::uint64_t kForEver = std::numeric_limits<std::uint64_t>::max();

// One run of the computation; the steps follow each other in run().
class Computation {
 public:
  Computation(const Question& question, const Limits& limits) : question_(question), watch_(limits) {}

  Answer run() {
    try {
      steps();
    } catch (const Stopped& stopped) {
      answer_.stopped = stopped.reason;
    } catch (const std::bad_alloc&) {
      answer_.stopped = Reason::memory;
    }
    lap("stopped");
    answer_.peak_bytes = watch_.account.peak();
    answer_.operations = watch_.operations();
    return std::move(answer_);
  }

 private:
  void steps() {
    measure();
    components();
    if (question_.maxdim == 0) return;
    reach_ = reach_of(matrix_, question_.n);
    const float limit = std::min(question_.thresh, reach_.radius);
    const float guess = limit == reach_.radius ? last_death(limit) : limit;
    if (guess < limit) {
      if (finish(guess, true)) return;
      answer_.diagrams.resize(1);
      answer_.columns.resize(1);
      filtration_.reset();
      if (matrix_ == nullptr) measure();
    }
    finish(limit, false);
  }

  // A length after which nothing begins, and perhaps nothing ends; `limit` if there is none.
  float last_death(float limit) {
    const std::size_t n = question_.n;
    if (n < 2 || (question_.maxdim == 2 && n < question_.many_points)) return limit;
    const float guess = guess_last_death(matrix_, n, tree_, question_.maxdim, limit);
    if (question_.maxdim == 1 && has_few_points()) return guess;  // the sweep finds out
    const bool nothing_begins = guess < limit && (question_.maxdim == 1
                                                      ? no_loop_begins_after(matrix_, n, guess, watch_)
                                                      : no_void_begins_after(matrix_, n, guess, limit, watch_));
    lap("late_edges");
    return nothing_begins ? guess : limit;
  }

  // H1 and H2 of the edges up to `limit`; returns whether everything has ended there. A guess is given
  // up as soon as something has not.
  bool finish(float limit, bool is_guess) {
    filter(limit);
    Pairs loops = loops_of();
    lap("reduction_1");
    const bool ended = has_few_points() && is_guess ? sweep_is_over_ : all_end(loops.bars);
    answer_.diagrams.push_back(std::move(loops.bars));
    if (question_.maxdim == 1 || (is_guess && !ended)) return ended;
    if (has_few_points()) rank();
    answer_.diagrams.push_back(voids_of(loops.ends));
    lap("reduction_2");
    return ended && all_end(answer_.diagrams.back());
  }

  static bool all_end(const std::vector<Bar>& bars) {
    return std::none_of(bars.begin(), bars.end(), [](const Bar& bar) { return std::isinf(bar.death); });
  }

  bool has_few_points() const { return question_.n <= question_.few_points; }

  void measure() {
    if (question_.points.empty()) {
      matrix_ = question_.matrix;
      return;
    }
    const std::size_t n = question_.n;
    watch_.need(n * n * sizeof(float));
    own_matrix_ = Array<float>(n * n, watch_.account);
    distances(question_.points, question_.d, own_matrix_.data(), watch_);
    matrix_ = own_matrix_.data();
    lap("distances");
  }

  void components() {
    std::vector<Bar> bars;
    std::size_t essential = 1;
    tree_ = spanning_tree_lengths(matrix_, question_.n, watch_);
    for (const float length : tree_) {
      if (length > question_.thresh)
        ++essential;
      else if (length > 0)
        bars.push_back({0, length});
    }
    bars.insert(bars.end(), essential, Bar{0, std::numeric_limits<float>::infinity()});
    answer_.diagrams.push_back(std::move(bars));
    answer_.columns.push_back(question_.n);
    lap("components");
  }

  void filter(float limit) {
    const float shortest = tree_.empty() ? 0 : *std::min_element(tree_.begin(), tree_.end());
    watch_.need(Filtration::edge_bytes(question_.n));
    filtration_ = std::make_unique<Filtration>(matrix_, question_.n, shortest, reach_.longest, limit, watch_);
    lap("filtration");
  }

  // From here on the lengths are those of the edges.
  void rank() {
    matrix_ = nullptr;
    own_matrix_ = Array<float>();
    watch_.need(Filtration::rank_bytes(question_.n));
    filtration_->rank_edges(watch_);
    lap("ranks");
  }

  // The relative neighbourhood graph without the minimum spanning tree, whose edges end the bars of
  // H0. The tree is Kruskal's: taken in order, an edge between components belongs to it.
  std::vector<Simplex> columns_of_edges() {
    Components components(question_.n);
    std::vector<Simplex> columns;
    for (const Rank edge : relative_neighbourhood_graph(*filtration_, watch_))
      if (!components.join(filtration_->high(edge), filtration_->low(edge)))
        columns.push_back(simplex(edge, 0));
    lap("neighbourhood_graph");
    return columns;
  }

  // Few points and noise are swept, anything else reduced; what fills in unexpectedly is swept after
  // all. All that decides is counted, so that it is decided alike everywhere.
  Pairs loops_of() {
    if (has_few_points()) {
      answer_.columns.push_back(0);
      SweptLoops loops = annotated_loops(*filtration_, watch_, answer_.columns.back(), [this](float length) {
        return no_loop_begins_after(matrix_, question_.n, length, watch_);
      });
      sweep_is_over_ = loops.is_over;
      note_noise();
      return std::move(loops.pairs);
    }
    rank();
    const std::vector<Simplex> columns = columns_of_edges();
    answer_.columns.push_back(columns.size());
    note_noise();
    if (!is_noise_) {
      Reduction<2> reduction(*filtration_, watch_);
      if (std::optional<Pairs> loops = reduction.run(columns, n_pairs())) return std::move(*loops);
    }
    std::size_t n_begun = 0;
    return annotated_loops(*filtration_, watch_, n_begun, [&](float) { return n_begun == columns.size(); }).pairs;
  }

  void note_noise() {
    const double n_columns = static_cast<double>(answer_.columns.back());
    is_noise_ = n_columns > question_.noise_ratio * static_cast<double>(question_.n);
  }

  std::vector<Bar> voids_of(const std::vector<Simplex>& ends) {
    const bool small = question_.n <= kMostAnnotated;
    if (!is_noise_ || !small) {
      const std::vector<Simplex> triangles = columns_of_triangles(ends);
      answer_.columns.push_back(triangles.size());
      Reduction<3> reduction(*filtration_, watch_);
      const std::uint64_t most = small ? kPatience * n_pairs() : kForEver;
      if (std::optional<Pairs> voids = reduction.run(triangles, most)) return std::move(voids->bars);
      answer_.columns.pop_back();
    }
    std::size_t n_begun = 0;
    Pairs voids = annotated_voids(*filtration_, ends, watch_, n_begun);
    answer_.columns.push_back(n_begun);
    return std::move(voids.bars);
  }

  // First vertices of components of lunes, without those that ended a bar of H1.
  std::vector<Simplex> columns_of_triangles(const std::vector<Simplex>& ends) {
    watch_.need(lune_roots_bytes(question_.n, watch_.threads()));
    const std::vector<Simplex> roots = lune_roots(*filtration_, watch_);
    std::vector<Simplex> columns;
    std::set_difference(roots.begin(), roots.end(), ends.begin(), ends.end(),
                        std::back_inserter(columns));
    lap("lune_roots");
    return columns;
  }

  std::uint64_t n_pairs() const { return std::uint64_t{question_.n} * (question_.n - 1) / 2; }

  void lap(const char* phase) {
    const auto now = Clock::now();
    answer_.seconds.emplace_back(phase, std::chrono::duration<double>(now - last_).count());
    last_ = now;
  }

  using Clock = std::chrono::steady_clock;
  const Question question_;
  Watch watch_;
  Array<float> own_matrix_;
  const float* matrix_ = nullptr;
  std::vector<float> tree_;  // lengths of the minimum spanning tree
  Reach reach_;
  std::unique_ptr<Filtration> filtration_;
  bool is_noise_ = false;
  bool sweep_is_over_ = false;
  Answer answer_;
  Clock::time_point last_ = Clock::now();
};

}  // namespace

Answer compute(const Question& question, const Limits& limits) {
  return Computation(question, limits).run();
}

}  // namespace lazy
