// Calls what libflambeau_compat.so gives, and exits with the number of the first line whose result is wrong. Linked with that library
// before the system's, so that its functions are the ones that run.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <exception>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <new>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>

extern "C" int stat64(const char *, struct stat64 *);
extern "C" int lstat64(const char *, struct stat64 *);
extern "C" int fstat64(int, struct stat64 *);

// What headers of C++20 make of str() in libraries; here they would compile functions of their own.
std::string str_of_kept(const std::stringbuf *) __asm__("_ZNKRSt7__cxx1115basic_stringbufIcSt11char_traitsIcESaIcEE3strEv");
std::string str_of_moved(std::stringbuf *) __asm__("_ZNOSt7__cxx1115basic_stringbufIcSt11char_traitsIcESaIcEE3strEv");

#define CHECK(what) \
  if (!(what)) return __LINE__

static int alive = 0;
struct Counted {
  Counted() { ++alive; }
  Counted(const Counted &) { ++alive; }
  ~Counted() { --alive; }
};

int main(int, char **arguments) {
  namespace fs = std::filesystem;
  const fs::path folder = arguments[1];

  CHECK(fs::create_directories(folder / "a" / "b"));
  std::error_code error;
  CHECK(!fs::create_directories(folder / "a", error) && !error);
  std::ofstream(folder / "a" / "b" / "file") << "12345";
  CHECK(symlink("file", (folder / "a" / "b" / "link").c_str()) == 0);
  std::set<std::string> names;
  auto walk = fs::recursive_directory_iterator(folder, fs::directory_options::none, error);
  for (; walk != fs::recursive_directory_iterator(); ++walk) names.insert((*walk).path().filename().string());
  CHECK((names == std::set<std::string>{"a", "b", "file", "link"}));
  CHECK((folder / "a" / "b").parent_path() == folder / "a");
  CHECK(fs::status(folder / "a").type() == fs::file_type::directory);
  CHECK(fs::current_path().is_absolute());
  try {
    fs::create_directories(folder / "a" / "b" / "file" / "c");
    return __LINE__;
  } catch (const fs::filesystem_error &) {
  }

  const std::string file = (folder / "a" / "b" / "file").string(), link = (folder / "a" / "b" / "link").string();
  struct stat status, other;
  struct stat64 large;
  CHECK(stat(link.c_str(), &status) == 0 && status.st_size == 5 && S_ISREG(status.st_mode));
  CHECK(lstat(link.c_str(), &other) == 0 && S_ISLNK(other.st_mode));
  CHECK(stat64(link.c_str(), &large) == 0 && large.st_size == 5 && large.st_ino == status.st_ino);
  CHECK(lstat64(link.c_str(), &large) == 0 && S_ISLNK(large.st_mode));
  int opened = open(file.c_str(), O_RDONLY);
  CHECK(fstat(opened, &other) == 0 && other.st_ino == status.st_ino && other.st_mtime == status.st_mtime);
  CHECK(fstat64(opened, &large) == 0 && large.st_size == 5);
  CHECK(stat("/there is no such file", &status) == -1 && errno == ENOENT);
  CHECK(fs::remove_all(folder / "a", error) == 4 && !fs::exists(folder / "a"));

  CHECK(gettid() == getpid());

  std::mutex mutex;
  std::condition_variable condition;
  bool is_set = false;
  std::unique_lock<std::mutex> lock(mutex);
  const auto start = std::chrono::steady_clock::now();
  CHECK(!condition.wait_for(lock, std::chrono::milliseconds(50), [&] { return is_set; }));
  CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(50));
  std::thread setter([&] {
    std::lock_guard<std::mutex> held(mutex);
    is_set = true;
    condition.notify_one();
  });
  CHECK(condition.wait_for(lock, std::chrono::minutes(1), [&] { return is_set; }));
  lock.unlock();
  setter.join();

  std::ostringstream output;
  output << 42 << " rows";
  CHECK(str_of_kept(output.rdbuf()) == "42 rows");
  CHECK(str_of_moved(output.rdbuf()) == "42 rows");
  std::stringstream both;
  both << "7";
  int number = 0;
  both >> number;
  CHECK(number == 7);

  std::runtime_error told("told"), moved(std::move(told));
  CHECK(moved.what() == std::string("told"));
  struct Derived : std::runtime_error {
    using std::runtime_error::runtime_error;
  };
  Derived derived("derived"), again(std::move(derived));
  CHECK(again.what() == std::string("derived"));
  try {
    std::__throw_bad_array_new_length();
    return __LINE__;
  } catch (const std::bad_array_new_length &) {
  }

  {
    std::exception_ptr first = std::make_exception_ptr(Counted());
    std::exception_ptr second = first, third;
    third = second;
    first = nullptr;
    second = nullptr;
    CHECK(alive == 1);
    try {
      std::rethrow_exception(third);
    } catch (const Counted &) {
    }
  }
  CHECK(alive == 0);
  return 0;
}
