// Interrupted conversions: what was finished is kept beside the output, found
// again, and never changes the bytes that come out.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "converter/base/file.h"
#include "converter/cli/progress.h"
#include "converter/cli/work_file.h"
#include "runtime/tools/io/error.h"
#include "tests/support/command.h"

namespace {

using namespace qrt;        // NOLINT: a test
using namespace qrt::test;  // NOLINT

std::string demo(const std::string& name) {
  return std::string(QRT_SOURCE_DIR) + "/examples/demo/" + name;
}

// k-means on the demo network, without data so that nothing else takes time; its largest layer
// stays dense, so that the output is larger than the work file.
std::vector<std::string> words(const std::string& out, const std::string& seed = "1") {
  return {command("qrt-convert"),
          demo("model.onnx"),
          "--method",
          "pq",
          "--pq",
          "block_3x3=5,centroids_fc=64,skip=first+/blocks/blocks.4/conv2/Conv,seed=" + seed,
          "-o",
          out};
}

std::string hash_of(const std::string& path) {
  const std::string bytes = read_text(path);
  return sha256_hex(bytes.data(), bytes.size());
}

std::string fresh_hash() {
  static const std::string hash = [] {
    const std::string out = scratch("fresh.qrt");
    REQUIRE(run_command(words(out)).code == 0);
    return hash_of(out);
  }();
  return hash;
}

// Runs until the work file holds a layer, then stops the process by `signal`. False when it was
// done before that.
bool interrupt(const std::vector<std::string>& line, const std::string& work, int signal) {
  std::vector<char*> argv;
  for (const std::string& w : line) argv.push_back(const_cast<char*>(w.c_str()));
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    const int quiet = ::open("/dev/null", O_WRONLY);
    ::dup2(quiet, 1);
    ::dup2(quiet, 2);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  for (;;) {
    int status = 0;
    if (::waitpid(child, &status, WNOHANG) == child) return false;
    struct stat info {};
    if (::stat(work.c_str(), &info) == 0 && info.st_size > 200) {
      ::kill(child, signal);
      ::waitpid(child, &status, 0);
      return WIFSIGNALED(status);
    }
    ::usleep(500);
  }
}

// The repairs are made of matrix products, whose last bits follow the number of BLAS threads.
TEST_CASE("conversion: the same bytes whatever the threads of the BLAS") {
  std::vector<std::string> hashes;
  for (const char* threads : {"1", "2", "4"}) {
    const std::string out = scratch("blas.qrt");
    ::setenv("OPENBLAS_NUM_THREADS", threads, 1);
    const CommandResult r =
        run_command({command("qrt-convert"), demo("model.onnx"), "--method", "pq", "--pq",
                     "iterations=2,rounds=1", "--calibrate", demo("calibration.npy"),
                     "--calibrate-rows", "24", "-o", out});
    ::unsetenv("OPENBLAS_NUM_THREADS");
    CAPTURE(r.err);
    REQUIRE(r.code == 0);
    hashes.push_back(hash_of(out));
  }
  CHECK(hashes[1] == hashes[0]);
  CHECK(hashes[2] == hashes[0]);
}

TEST_CASE("resume: an interrupted conversion goes on and gives the same file") {
  for (const int signal : {SIGKILL, SIGINT}) {
    CAPTURE(signal);
    const std::string out = scratch("interrupted.qrt"), work = out + ".work";
    bool interrupted = false;
    for (int attempt = 0; attempt < 5 && !interrupted; ++attempt) {
      ::unlink(out.c_str());
      interrupted = interrupt(words(out), work, signal);
    }
    REQUIRE(interrupted);
    CHECK_FALSE(exists(out));
    REQUIRE(exists(work));
    const CommandResult r = run_command(words(out));
    CHECK(r.code == 0);
    CHECK(r.err.find("note: resumed: ") != std::string::npos);
    CHECK(hash_of(out) == fresh_hash());
    CHECK_FALSE(exists(work));
    CHECK(run_command({"sh", "-c", "ls " + out + ".partial-* 2>/dev/null"}).out.empty());
  }
}

// A work file of a whole run: the limit of 200 KiB lets it grow, but not the output.
std::string leave_work(const std::string& out) {
  std::string line = "ulimit -f 200; exec";
  for (const std::string& w : words(out)) line += " '" + w + "'";
  const CommandResult r = run_command({"bash", "-c", line});
  CAPTURE(r.err);
  CHECK(r.signal == 0);
  REQUIRE(r.code == 2);
  CHECK(r.err.find("QRT-E0402") != std::string::npos);
  CHECK(r.err.find("is kept in " + out + ".work") != std::string::npos);
  CHECK_FALSE(exists(out));
  REQUIRE(exists(out + ".work"));
  return out + ".work";
}

TEST_CASE("resume: a full disk costs no finished layer") {
  const std::string out = scratch("full.qrt"), work = leave_work(out);
  const CommandResult r = run_command(words(out));
  CHECK(r.code == 0);
  CHECK(r.err.find("note: resumed: ") != std::string::npos);
  CHECK(hash_of(out) == fresh_hash());
  CHECK_FALSE(exists(work));
}

TEST_CASE("resume: damaged and foreign work changes nothing") {
  const std::string out = scratch("damaged.qrt"), work = leave_work(out);
  const std::string whole = read_text(work);
  const auto run_on = [&](const std::string& bytes, bool resumes) {
    std::ofstream(work, std::ios::binary) << bytes;
    const CommandResult r = run_command(words(out));
    CAPTURE(r.err);
    CHECK(r.code == 0);
    CHECK((r.err.find("note: resumed: ") != std::string::npos) == resumes);
    CHECK(hash_of(out) == fresh_hash());
    CHECK_FALSE(exists(work));
  };
  run_on(whole.substr(0, whole.size() - 1), true);  // the last record is cut off
  std::string changed = whole;
  changed[whole.size() - 200] ^= 1;
  run_on(changed, true);
  run_on(whole.substr(0, 100), false);  // no whole record
  run_on(whole.substr(0, 5), false);    // not even a header
  run_on("", false);
  // Other options: the same name, another conversion.
  std::ofstream(work, std::ios::binary) << whole;
  const CommandResult other = run_command(words(out, "2"));
  CHECK(other.code == 0);
  CHECK(other.err.find("resumed") == std::string::npos);
  CHECK(hash_of(out) != fresh_hash());
}

TEST_CASE("resume: the work file's place is taken") {
  const std::string out = scratch("taken.qrt"), work = out + ".work";
  std::ofstream(work, std::ios::binary) << "somebody's notes";
  CommandResult r = run_command(words(out));
  CHECK(r.code == 2);
  CHECK(r.err.find("QRT-E0493") != std::string::npos);
  CHECK(read_text(work) == "somebody's notes");
  ::unlink(work.c_str());
  REQUIRE(::symlink("/dev/null", work.c_str()) == 0);
  r = run_command(words(out));
  CHECK(r.err.find("QRT-E0493") != std::string::npos);
  ::unlink(work.c_str());
  // Held by another process (here: this one).
  cli::WorkFile mine(work, std::string(64, 'x'));
  r = run_command(words(out));
  CHECK(r.code == 2);
  CHECK(r.err.find("QRT-E0492") != std::string::npos);
  CHECK_FALSE(exists(out));
}

TEST_CASE("work file: records, identity and what stays") {
  const std::string path = scratch("records.work"), id(64, 'a');
  {
    cli::WorkFile file(path, id);
    CHECK(file.kept() == 0);
    CHECK(file.find("k") == nullptr);
    file.record("k", std::string("v\0w", 3));
    file.record("", "");
    REQUIRE(file.find("k") != nullptr);
    CHECK(*file.find("k") == std::string("v\0w", 3));
    CHECK_THROWS_AS(cli::WorkFile(path, id), io::ToolError);  // locked
  }
  {
    cli::WorkFile file(path, id);
    CHECK(file.kept() == 2);
    REQUIRE(file.find("k") != nullptr);
    CHECK(*file.find("k") == std::string("v\0w", 3));
    file.record("more", "x");
  }
  { CHECK(cli::WorkFile(path, id).kept() == 3); }
  { CHECK(cli::WorkFile(path, std::string(64, 'b')).kept() == 0); }
  CHECK_FALSE(exists(path));  // started afresh, and nothing was recorded
  {
    cli::WorkFile file(path, id);
    file.record("k", "v");
    file.discard();
  }
  CHECK_FALSE(exists(path));
  const cli::WorkFile nowhere("/no/such/directory/x.work", id);
  CHECK(nowhere.trouble().find("/no/such/directory/x.work") == 0);
}

TEST_CASE("progress: the line says share, layer and the time left") {
  const auto text = [](double done, double resumed, const char* now, double elapsed, int width) {
    return cli::progress_text({done, resumed, now}, elapsed, width);
  };
  CHECK(text(0.25, 0, "conv1", 30, 80) == " 25 %  conv1  1:30 left");
  CHECK(text(0.5, 0, "fc", 7200, 80) == " 50 %  fc  2:00:00 left");
  // What was resumed cost no time: 10 % in 10 seconds, 40 % to go.
  CHECK(text(0.6, 0.5, "conv1", 10, 80) == " 60 %  conv1  0:40 left");
  CHECK(text(0.5, 0.5, "conv1", 10, 80) == " 50 %  conv1");  // no rate yet
  CHECK(text(0.9, 0, "conv1", 1, 80) == " 90 %  conv1");     // too early to tell
  CHECK(text(1, 0, "conv1", 10, 80) == "100 %  conv1  0:00 left");
  CHECK(text(0.25, 0, "a_very_long_name", 30, 20) == " 25 %  a_  1:30 left");
  CHECK(text(0.25, 0, "a\033[2Jb", 1, 80) == " 25 %  a?[2Jb");
}

// Runs with standard error on a terminal of its own, and returns what appears there.
std::string on_terminal(const std::vector<std::string>& line) {
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || ::grantpt(master) != 0 || ::unlockpt(master) != 0) return "";
  const std::string name = ::ptsname(master);
  std::vector<char*> argv;
  for (const std::string& w : line) argv.push_back(const_cast<char*>(w.c_str()));
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(::open("/dev/null", O_WRONLY), 1);
    ::dup2(::open(name.c_str(), O_RDWR | O_NOCTTY), 2);
    ::setenv("TERM", "xterm", 1);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  std::string all;
  char part[4096];
  for (;;) {  // reading fails once the child's side is closed
    const ssize_t n = ::read(master, part, sizeof part);
    if (n > 0) all.append(part, static_cast<size_t>(n));
    if (n > 0) continue;
    int status = 0;
    if (::waitpid(child, &status, WNOHANG) == child) break;
    ::usleep(1000);
  }
  ::close(master);
  return all;
}

TEST_CASE("progress: drawn on a terminal, wiped at the end, silent elsewhere") {
  const std::string out = scratch("progress.qrt");
  const std::string seen = on_terminal(words(out));
  REQUIRE(!seen.empty());
  CHECK(seen.find(" %  ") != std::string::npos);
  const size_t last = seen.rfind('\r');
  REQUIRE(last != std::string::npos);
  CHECK(seen.find("\r\033[K") != std::string::npos);
  CHECK(seen.rfind(" %  ") < seen.rfind("\r\033[K"));
  std::vector<std::string> quiet = words(out);
  quiet.push_back("-q");
  CHECK(on_terminal(quiet).empty());
  CHECK(run_command(words(out)).err.find('\r') == std::string::npos);
}

}  // namespace
