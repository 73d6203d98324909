// What all command lines refuse alike, on top of CLI11.
#ifndef QRT_RUNTIME_TOOLS_IO_ARGUMENTS_H_
#define QRT_RUNTIME_TOOLS_IO_ARGUMENTS_H_

#include <CLI/CLI.hpp>
#include <string>

namespace qrt::io {

// An empty value is nearly always an unset variable of a script (--weights "$CKPT") and must not
// mean "not given". Call it when all options of `app` are added.
inline void refuse_empty_values(CLI::App& app) {
  const CLI::Validator has_text(
      [](std::string& text) {
        return text.empty() ? std::string("the value is empty; give one or leave the option out")
                            : std::string();
      },
      "");
  for (CLI::Option* o :
       app.get_options([](const CLI::Option* x) { return x->get_items_expected_max() > 0; }))
    o->check(has_text);
}

}  // namespace qrt::io

#endif  // QRT_RUNTIME_TOOLS_IO_ARGUMENTS_H_
