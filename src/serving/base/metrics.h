#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace slip::serving {

/// Counts per exponential bucket; observe() by any thread. Units are the caller's.
class Histogram {
 public:
  static constexpr std::size_t kMost = 52;
  /// Upper bounds scale·growth^i for i in [0, buckets), then infinity: as TensorFlow's Buckets::Exponential.
  Histogram(double scale, double growth, std::size_t buckets);
  void observe(double value) noexcept;
  [[nodiscard]] std::uint64_t count() const noexcept;

 private:
  friend class Metrics;
  std::vector<double> bounds_;
  std::array<std::atomic<std::uint64_t>, kMost + 1> counts_{};
  std::atomic<double> sum_{0};
};

/// What /metrics shows, in Prometheus' text format with TensorFlow Serving's names.
class Metrics {
 public:
  using Labels = std::vector<std::pair<std::string_view, std::string_view>>;

  Metrics();
  /// The counter with these labels, made at its first use; valid until they are forgotten. Beyond kMostSeries of one
  /// name, whatever the labels, it is the one with `overflow="true"`: clients choose some of the labels.
  std::atomic<std::uint64_t>& counter(std::string_view name, const Labels& labels);
  /// A histogram of microseconds, bounds 10·1.8^i.
  Histogram& latency(std::string_view name, const Labels& labels);
  /// A histogram with bounds of its own; the first call for `name` decides them.
  Histogram& histogram(std::string_view name, const Labels& labels, double scale, double growth, std::size_t buckets);
  /// A value asked for whenever metrics are read.
  void gauge(std::string name, std::function<double()> value);
  [[nodiscard]] std::string text() const;
  /// Removes what has this label. No other thread may be about to change one of them.
  void forget(std::string_view label, std::string_view value);

  static constexpr std::size_t kMostSeries = 2000;

 private:
  template <class T>
  using Family = std::map<std::string, std::unique_ptr<T>, std::less<>>;
  template <class T, class Make>
  T& find(std::map<std::string, Family<T>, std::less<>>& families, std::string_view name, const Labels& labels,
          Make&& make);

  mutable std::shared_mutex mutex_;
  std::map<std::string, Family<std::atomic<std::uint64_t>>, std::less<>> counters_;
  std::map<std::string, Family<Histogram>, std::less<>> histograms_;
  std::vector<std::pair<std::string, std::function<double()>>> gauges_;
};

}  // namespace slip::serving
