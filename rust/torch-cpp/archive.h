// A TorchScript file behind a descriptor that its owner keeps open: hashing, checking and loading read the same open file.
#pragma once

#include <caffe2/serialize/inline_container.h>
#include <caffe2/serialize/read_adapter_interface.h>

#include <memory>
#include <string>
#include <vector>

namespace flambeau {

struct Archive {
  std::shared_ptr<caffe2::serialize::ReadAdapterInterface> file;
  std::unique_ptr<caffe2::serialize::PyTorchStreamReader> reader;
  std::vector<std::string> names;
};

}  // namespace flambeau
