// The operators of torchvision that its detectors call: programs name them, and libtorch does not have them. Registered under the names
// that programs have, unless the process has torchvision's own. Each computes on the CPU, wherever its tensors are, without gradients.
#include "error.h"

#include <ATen/Dispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace {

// A tensor that the loops below can read: on the CPU, contiguous, of a type that they compute in.
at::Tensor readable(const at::Tensor& tensor) {
  const auto kind = tensor.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  return tensor.detach().to(at::kCPU, kind).contiguous();
}

template <typename T>
std::vector<int64_t> kept_boxes(const T* boxes, const int64_t* order, int64_t count, double threshold) {
  std::vector<T> areas(count);
  for (int64_t i = 0; i < count; ++i) areas[i] = (boxes[4 * i + 2] - boxes[4 * i]) * (boxes[4 * i + 3] - boxes[4 * i + 1]);
  std::vector<char> dropped(count, 0);
  std::vector<int64_t> kept;
  for (int64_t a = 0; a < count; ++a) {
    const int64_t i = order[a];
    if (dropped[i]) continue;
    kept.push_back(i);
    const T* one = boxes + 4 * i;
    for (int64_t b = a + 1; b < count; ++b) {
      const int64_t j = order[b];
      const T* other = boxes + 4 * j;
      const T width = std::max<T>(0, std::min(one[2], other[2]) - std::max(one[0], other[0]));
      const T height = std::max<T>(0, std::min(one[3], other[3]) - std::max(one[1], other[1]));
      const T shared = width * height;
      if (shared / (areas[i] + areas[j] - shared) > threshold) dropped[j] = 1;
    }
  }
  return kept;
}

// Non-maximum suppression: boxes [n, 4] (xyxy) and scores [n] -> the indices of those that stay, the best first.
at::Tensor nms(const at::Tensor& boxes, const at::Tensor& scores, double threshold) {
  TORCH_CHECK(boxes.dim() == 2 && boxes.size(1) == 4, "nms: boxes have the shape [n, 4], not ", boxes.sizes());
  TORCH_CHECK(scores.dim() == 1 && scores.size(0) == boxes.size(0), "nms: one score per box, not ", scores.sizes());
  const auto values = readable(boxes);
  const auto order = std::get<1>(scores.detach().to(at::kCPU).sort(/*stable=*/true, /*dim=*/0, /*descending=*/true)).contiguous();
  std::vector<int64_t> kept;
  AT_DISPATCH_FLOATING_TYPES(values.scalar_type(), "nms", [&] {
    kept = kept_boxes(values.const_data_ptr<scalar_t>(), order.const_data_ptr<int64_t>(), values.size(0), threshold);
  });
  return at::tensor(kept, at::kLong).to(boxes.device());
}

// The two values that a bilinear sample reads along one side, and their shares, which are 0 outside of the map.
template <typename T>
struct Taps {
  int64_t low = 0, high = 0;
  T low_share = 0, high_share = 0;
};

template <typename T>
Taps<T> taps_at(T position, int64_t size) {
  if (!(position >= -1 && position <= size)) return {};  // nor where it is not a number
  position = std::max<T>(position, 0);
  const auto low = static_cast<int64_t>(position);
  if (low >= size - 1) return {size - 1, size - 1, 1, 0};
  const T above = position - low;
  return {low, low + 1, 1 - above, above};
}

// One side of a region: its bins, each with the same number of samples.
template <typename T>
struct Side {
  static constexpr int64_t most = 1 << 14;  // regions are parts of pictures
  std::vector<Taps<T>> taps;
  int64_t samples;

  Side(T start, T end, bool aligned, int64_t bins, int64_t sampling_ratio, int64_t size) {
    const T length = aligned ? end - start : std::max<T>(end - start, 1);
    const T bin = length / bins;
    const T wanted = sampling_ratio > 0 ? static_cast<T>(sampling_ratio) : std::ceil(bin);
    TORCH_CHECK(bins <= most && wanted <= most, "roi_align: ", bins, " bins of ", wanted, " samples are too many for one side of a region");
    samples = static_cast<int64_t>(std::max<T>(wanted, 0));
    for (int64_t i = 0; i < bins; ++i) {
      for (int64_t k = 0; k < samples; ++k) taps.push_back(taps_at<T>(start + i * bin + (k + T(0.5)) * bin / samples, size));
    }
  }
};

template <typename T>
T bin_mean(const T* map, int64_t width, const Side<T>& y, const Side<T>& x, int64_t row, int64_t column) {
  T sum = 0;
  for (int64_t i = row * y.samples; i < (row + 1) * y.samples; ++i) {
    const auto& v = y.taps[i];
    for (int64_t k = column * x.samples; k < (column + 1) * x.samples; ++k) {
      const auto& h = x.taps[k];
      const T* low = map + v.low * width;
      const T* high = map + v.high * width;
      sum += v.low_share * (h.low_share * low[h.low] + h.high_share * low[h.high]) +
          v.high_share * (h.low_share * high[h.low] + h.high_share * high[h.high]);
    }
  }
  return sum / std::max<int64_t>(y.samples * x.samples, 1);
}

struct RoiAlign {
  double scale;
  int64_t height, width, sampling_ratio;
  bool aligned;

  template <typename T>
  void region(const at::Tensor& maps, const T* roi, T* out) const {
    const int64_t channels = maps.size(1), rows = maps.size(2), columns = maps.size(3);
    TORCH_CHECK(roi[0] >= 0 && roi[0] < maps.size(0), "roi_align: a region of picture ", roi[0], " of ", maps.size(0));
    const auto image = static_cast<int64_t>(roi[0]);
    TORCH_CHECK(rows > 0 && columns > 0, "roi_align: the maps are empty: ", maps.sizes());
    const T offset = aligned ? T(0.5) : T(0);
    const T factor = static_cast<T>(scale);
    const Side<T> y(roi[2] * factor - offset, roi[4] * factor - offset, aligned, height, sampling_ratio, rows);
    const Side<T> x(roi[1] * factor - offset, roi[3] * factor - offset, aligned, width, sampling_ratio, columns);
    const T* map = maps.const_data_ptr<T>() + image * channels * rows * columns;
    for (int64_t channel = 0; channel < channels; ++channel, map += rows * columns) {
      for (int64_t row = 0; row < height; ++row) {
        for (int64_t column = 0; column < width; ++column) *out++ = bin_mean(map, columns, y, x, row, column);
      }
    }
  }
};

// Mean values of regions: maps [n, channels, h, w] and rois [k, 5] (picture, xyxy) -> [k, channels, height, width].
at::Tensor roi_align(const at::Tensor& input, const at::Tensor& rois, double scale, int64_t height, int64_t width, int64_t sampling_ratio,
    bool aligned) {
  TORCH_CHECK(input.dim() == 4 && rois.dim() == 2 && rois.size(1) == 5, "roi_align: maps are [n, channels, h, w] and regions [k, 5], not ",
      input.sizes(), " and ", rois.sizes());
  TORCH_CHECK(height > 0 && width > 0, "roi_align: a region has at least one bin");
  const auto maps = readable(input);
  const auto regions = readable(rois).to(maps.scalar_type());
  auto result = at::empty({rois.size(0), input.size(1), height, width}, maps.options());
  const RoiAlign align{scale, height, width, sampling_ratio, aligned};
  AT_DISPATCH_FLOATING_TYPES(maps.scalar_type(), "roi_align", [&] {
    const int64_t values = input.size(1) * height * width;
    for (int64_t k = 0; k < rois.size(0); ++k) {
      align.region(maps, regions.const_data_ptr<scalar_t>() + 5 * k, result.mutable_data_ptr<scalar_t>() + k * values);
    }
  });
  return result.to(input.options());
}

}  // namespace

extern "C" {

// Makes the operators known. Later calls do nothing.
void flb_register_vision(FlbError* error) {
  flambeau::guarded<int>(error, 0, [] {
    // Never freed: programs may run until the process ends.
    static const torch::Library* library = [] {
      auto* made = new torch::Library(torch::Library::FRAGMENT, "torchvision", std::nullopt, __FILE__, __LINE__);
      const auto add = [&](const char* name, const char* schema, auto kernel) {
        if (c10::Dispatcher::singleton().findSchema({name, ""})) return;
        made->def(schema, torch::dispatch(c10::DispatchKey::CompositeExplicitAutograd, kernel));
      };
      add("torchvision::nms", "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor", TORCH_FN(nms));
      add("torchvision::roi_align",
          "roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width, int sampling_ratio, bool aligned) -> Tensor",
          TORCH_FN(roi_align));
      // The losses of its detectors name it, which no executor runs: known, but without a kernel.
      if (!c10::Dispatcher::singleton().findSchema({"torchvision::box_iou_rotated", ""})) {
        made->def("box_iou_rotated(Tensor boxes1, Tensor boxes2) -> Tensor");
      }
      return made;
    }();
    (void)library;
    return 0;
  });
}
}
