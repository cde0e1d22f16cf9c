// Diagrams of a file of points, without Python: for sanitizers and for other architectures.
//
//     lazy_diagrams N D MAXDIM THREADS < points.f32      (N rows of D float32; D = 0: N x N distances)
//
// Prints a line "dimension birth death" per bar, the numbers in hexadecimal, unsorted.
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <vector>

#include "diagrams.hpp"

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  lazy::Question question;
  question.n = std::strtoul(argv[1], nullptr, 10);
  question.d = std::strtoul(argv[2], nullptr, 10);
  question.maxdim = std::atoi(argv[3]);
  question.thresh = std::numeric_limits<float>::infinity();
  std::vector<float> numbers(question.n * (question.d == 0 ? question.n : question.d));
  if (std::fread(numbers.data(), sizeof(float), numbers.size(), stdin) != numbers.size()) return 3;
  if (question.d == 0) question.matrix = numbers.data();
  for (std::size_t i = 0; question.d != 0 && i < question.n; ++i)
    question.points.push_back(numbers.data() + i * question.d);
  lazy::Limits limits;
  limits.threads = std::atoi(argv[4]);
  const lazy::Answer answer = lazy::compute(question, limits);
  for (std::size_t dimension = 0; dimension < answer.diagrams.size(); ++dimension)
    for (const lazy::Bar& bar : answer.diagrams[dimension])
      std::printf("%zu %a %a\n", dimension, static_cast<double>(bar.birth), static_cast<double>(bar.death));
  return answer.stopped == lazy::Reason::none ? 0 : 1;
}
