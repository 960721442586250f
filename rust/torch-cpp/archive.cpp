// The records of a TorchScript file, by libtorch's own reader.
#include "archive.h"

#include "error.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <tuple>
#include <utility>

namespace {

// Reads at any position, from any thread; does not own the descriptor.
class FileReader : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit FileReader(int fd) : fd_(fd) {
    struct stat found {};
    TORCH_CHECK(fstat(fd, &found) == 0, "the file cannot be read: ", strerror(errno));
    size_ = static_cast<size_t>(found.st_size);
  }

  size_t size() const override { return size_; }

  size_t read(uint64_t pos, void* buf, size_t n, const char* what) const override {
    size_t done = 0;
    while (done < n) {
      const ssize_t got = pread(fd_, static_cast<char*>(buf) + done, n - done, static_cast<off_t>(pos + done));
      if (got < 0 && errno == EINTR) continue;
      TORCH_CHECK(got >= 0, "the file cannot be read (", what, "): ", strerror(errno));
      if (got == 0) break;
      done += static_cast<size_t>(got);
    }
    return done;
  }

 private:
  int fd_;
  size_t size_;
};

struct Record {
  at::DataPtr data;
};

}  // namespace

extern "C" {

void* flb_archive_open(int32_t fd, FlbError* error) {
  return flambeau::guarded<void*>(error, nullptr, [&]() -> void* {
    auto archive = std::make_unique<flambeau::Archive>();
    archive->file = std::make_shared<FileReader>(fd);
    archive->reader = std::make_unique<caffe2::serialize::PyTorchStreamReader>(archive->file);
    archive->names = archive->reader->getAllRecords();
    return archive.release();
  });
}

void flb_archive_free(void* archive) { delete static_cast<flambeau::Archive*>(archive); }

int64_t flb_archive_len(const void* archive) { return static_cast<int64_t>(static_cast<const flambeau::Archive*>(archive)->names.size()); }

// Valid while the archive lives.
const char* flb_archive_name(const void* archive, int64_t i) {
  return static_cast<const flambeau::Archive*>(archive)->names[static_cast<size_t>(i)].c_str();
}

// Record i, uncompressed, to be freed with flb_record_free.
void* flb_archive_record(void* archive, int64_t i, uint64_t max_bytes, uint64_t* length, FlbError* error) {
  return flambeau::guarded<void*>(error, nullptr, [&]() -> void* {
    auto* whole = static_cast<flambeau::Archive*>(archive);
    const auto& name = whole->names[static_cast<size_t>(i)];
    const size_t size = whole->reader->getRecordSize(name);
    TORCH_CHECK(size <= max_bytes, name, " is too large: ", max_bytes > (256 << 20)
        ? "a compiled library has at most 16 GiB"
        : "code and data of a program have at most 256 MiB, besides its weights");
    auto record = std::make_unique<Record>();
    size_t read = 0;
    std::tie(record->data, read) = whole->reader->getRecord(name);
    *length = read;
    return record.release();
  });
}

const uint8_t* flb_record_data(const void* record) { return static_cast<const uint8_t*>(static_cast<const Record*>(record)->data.get()); }

void flb_record_free(void* record) { delete static_cast<Record*>(record); }

}  // extern "C"
