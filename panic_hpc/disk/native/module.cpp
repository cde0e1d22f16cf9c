// The door between Python and SHA-256 of many messages.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <vector>

#include "sha256.hpp"

namespace nb = nanobind;

namespace {

// Views of what Python holds, given back at the end.
class Views {
 public:
  Views() = default;
  Views(const Views&) = delete;
  Views& operator=(const Views&) = delete;
  ~Views() {
    for (Py_buffer& view : views_) PyBuffer_Release(&view);
  }

  sha256::Part of(nb::handle object) {
    Py_buffer view;
    if (PyObject_GetBuffer(object.ptr(), &view, PyBUF_SIMPLE) != 0) throw nb::python_error();
    views_.push_back(view);
    // An empty one may have no address, which would say that it is a file's.
    static const std::uint8_t nothing = 0;
    const auto* data = static_cast<const std::uint8_t*>(view.buf);
    return {data == nullptr ? &nothing : data, -1, 0, static_cast<std::uint64_t>(view.len)};
  }

 private:
  std::vector<Py_buffer> views_;
};

sha256::Part part_of(nb::handle object, Views& views) {
  if (!nb::isinstance<nb::tuple>(object)) return views.of(object);
  const auto place = nb::borrow<nb::tuple>(object);
  return {nullptr, nb::cast<int>(place[0]), nb::cast<std::uint64_t>(place[1]),
          nb::cast<std::uint64_t>(place[2])};
}

const sha256::Kernels& named(const std::vector<sha256::Kernels>& all, const std::string& name) {
  for (const sha256::Kernels& kernels : all)
    if (name.empty() || name == kernels.name) return kernels;
  throw nb::value_error("this processor has no such kernels");
}

nb::object digests(const nb::list& given, const std::string& name) {
  static const std::vector<sha256::Kernels> all = sha256::kernels();
  const sha256::Kernels& kernels = named(all, name);
  Views views;
  std::vector<sha256::Message> messages;
  for (nb::handle one : given) {
    sha256::Message message;
    for (nb::handle part : nb::borrow<nb::sequence>(one)) message.push_back(part_of(part, views));
    messages.push_back(std::move(message));
  }
  std::string out(sha256::kDigestBytes * messages.size(), '\0');
  bool is_whole = false;
  {
    nb::gil_scoped_release released;
    is_whole = sha256::digests(messages, kernels, reinterpret_cast<std::uint8_t*>(out.data()));
  }
  if (!is_whole) return nb::none();
  return nb::bytes(out.data(), out.size());
}

std::vector<std::string> kernel_names() {
  std::vector<std::string> names;
  for (const sha256::Kernels& kernels : sha256::kernels()) names.emplace_back(kernels.name);
  return names;
}

}  // namespace

NB_MODULE(_sha256, m) {
  m.def("kernel_names", kernel_names, "Names of what can compute here, the best first.");
  m.def("digests", digests, nb::arg("messages"), nb::arg("kernels") = "",
        "Digests of messages, one after the other; None where a file cannot be read or ends too early.\n\n"
        "A message is a sequence of buffers and of (descriptor, place, number of bytes).");
}
