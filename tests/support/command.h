// Runs the commands of build/bin as a user would, and keeps what they say. A
// command that dies by a signal is a failure whatever the test expects.
#ifndef QRT_TESTS_SUPPORT_COMMAND_H_
#define QRT_TESTS_SUPPORT_COMMAND_H_

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <string>
#include <vector>

namespace qrt::test {

struct CommandResult {
  int code = -1;   // exit code; -1 where there is none
  int signal = 0;  // that ended it
  std::string out, err;
};

inline std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

// A directory of this process under the build folder, removed at exit.
inline std::string scratch(const std::string& name) {
  struct Directory {
    Directory() : path(std::string(QRT_BINARY_DIR) + "/scratch-" + std::to_string(::getpid())) {
      run("mkdir -p '" + path + "'");
    }
    ~Directory() { run("rm -rf '" + path + "'"); }
    static void run(const std::string& line) {
      if (std::system(line.c_str()) != 0) std::fprintf(stderr, "failed: %s\n", line.c_str());
    }
    std::string path;
  };
  static const Directory directory;
  return directory.path + "/" + name;
}

// The path of a command of the build.
inline std::string command(const std::string& name) {
  return std::string(QRT_BINARY_DIR) + "/bin/" + name;
}

// Runs words[0] with the others as arguments, QRT_ISA and friends as they are.
inline CommandResult run_command(const std::vector<std::string>& words) {
  const std::string out = scratch("stdout.txt"), err = scratch("stderr.txt");
  std::vector<char*> argv;
  for (const std::string& w : words) argv.push_back(const_cast<char*>(w.c_str()));
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    const int o = ::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const int e = ::open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (o < 0 || e < 0 || ::dup2(o, 1) < 0 || ::dup2(e, 2) < 0) ::_exit(126);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  CommandResult result;
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return result;
  if (WIFEXITED(status)) result.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  result.out = read_text(out);
  result.err = read_text(err);
  return result;
}

}  // namespace qrt::test

#endif  // QRT_TESTS_SUPPORT_COMMAND_H_
