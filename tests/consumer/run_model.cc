// The same through the C++ wrapper.
#include <algorithm>
#include <cstdio>
#include <qrt.hpp>

int main(int argc, char** argv) {
  qrt::Error error;
  qrt::Model model = qrt::Model::from_file(argc == 2 ? argv[1] : "", error);
  qrt::Session session = qrt::Session::open(model, error, qrt::Options().threads(2));
  if (!session) return std::fprintf(stderr, "%s\n", error.message()), 2;
  qrt::Tensor in = session.input(0), out = session.output(0);
  std::fill(in.begin<float>(), in.end<float>(), 0.0f);
  if (!session.run(error)) return std::fprintf(stderr, "%s\n", error.message()), 2;
  std::printf("%td\n", std::max_element(out.begin<float>(), out.end<float>()) - out.begin<float>());
}
