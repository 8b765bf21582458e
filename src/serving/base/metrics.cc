#include "serving/base/metrics.h"

#include <algorithm>
#include <ctime>

#include "core/format.h"

namespace slip::serving {
namespace {

/// `{a="x",b="y"}` with values escaped as the text format asks.
std::string label_text(const Metrics::Labels& labels) {
  std::string text;
  for (const auto& [name, value] : labels) {
    text += text.empty() ? "" : ",";
    text += name;
    text += "=\"";
    for (const char c : value) {
      if (c == '\\' || c == '"') {
        text.push_back('\\');
      }
      if (c == '\n') {
        text += "\\n";
      } else {
        text.push_back(c);
      }
    }
    text += "\"";
  }
  return text;
}

}  // namespace

Histogram::Histogram(double scale, double growth, std::size_t buckets) {
  double bound = scale;
  for (std::size_t i = 0; i < std::min(buckets, kMost); ++i) {
    bounds_.push_back(bound);
    bound *= growth;
  }
}

void Histogram::observe(double value) noexcept {
  const auto bucket = std::upper_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  counts_[static_cast<std::size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  double sum = sum_.load(std::memory_order_relaxed);
  while (!sum_.compare_exchange_weak(sum, sum + value, std::memory_order_relaxed)) {
  }
}

std::uint64_t Histogram::count() const noexcept {
  std::uint64_t all = 0;
  for (const auto& count : counts_) {
    all += count.load(std::memory_order_relaxed);
  }
  return all;
}

Metrics::Metrics() {
  const auto started = static_cast<double>(std::time(nullptr));
  gauge("process_start_time_seconds", [started] { return started; });
}

template <class T, class Make>
T& Metrics::find(std::map<std::string, Family<T>, std::less<>>& families, std::string_view name, const Labels& labels,
                 Make&& make) {
  std::string key = label_text(labels);
  {
    const std::shared_lock lock(mutex_);
    const auto family = families.find(name);
    if (family != families.end()) {
      const auto found = family->second.find(key);
      if (found != family->second.end()) {
        return *found->second;
      }
    }
  }
  const std::unique_lock lock(mutex_);
  auto& family = families[std::string(name)];
  if (family.size() >= kMostSeries && !family.contains(key)) {
    key = label_text({{"overflow", "true"}});
  }
  auto& slot = family[key];
  if (!slot) {
    slot = make();
  }
  return *slot;
}

std::atomic<std::uint64_t>& Metrics::counter(std::string_view name, const Labels& labels) {
  return find(counters_, name, labels, [] { return std::make_unique<std::atomic<std::uint64_t>>(0); });
}

Histogram& Metrics::latency(std::string_view name, const Labels& labels) {
  return find(histograms_, name, labels, [] { return std::make_unique<Histogram>(10, 1.8, 33); });
}

Histogram& Metrics::histogram(std::string_view name, const Labels& labels, double scale, double growth,
                              std::size_t buckets) {
  return find(histograms_, name, labels, [&] { return std::make_unique<Histogram>(scale, growth, buckets); });
}

void Metrics::gauge(std::string name, std::function<double()> value) {
  const std::unique_lock lock(mutex_);
  gauges_.emplace_back(std::move(name), std::move(value));
}

void Metrics::forget(std::string_view label, std::string_view value) {
  const std::string wanted = label_text({{label, value}});
  const std::unique_lock lock(mutex_);
  const auto erase_from = [&](auto& families) {
    for (auto& [name, family] : families) {
      std::erase_if(family, [&](const auto& series) {
        // A quote inside a value is escaped, so that only a whole label ends and begins like this.
        return ("," + series.first + ",").find("," + wanted + ",") != std::string::npos;
      });
    }
  };
  erase_from(counters_);
  erase_from(histograms_);
}

std::string Metrics::text() const {
  const std::shared_lock lock(mutex_);
  std::string out;
  for (const auto& [name, family] : counters_) {
    out += format("# TYPE {} counter\n", name);
    for (const auto& [labels, value] : family) {
      out += format("{}{{{}}} {}\n", name, labels, value->load(std::memory_order_relaxed));
    }
  }
  for (const auto& [name, family] : histograms_) {
    out += format("# TYPE {} histogram\n", name);
    for (const auto& [labels, histogram] : family) {
      std::uint64_t below = 0;
      for (std::size_t i = 0; i <= histogram->bounds_.size(); ++i) {
        below += histogram->counts_[i].load(std::memory_order_relaxed);
        const std::string bound = i == histogram->bounds_.size() ? "+Inf" : format("{:g}", histogram->bounds_[i]);
        out += format("{}_bucket{{{},le=\"{}\"}} {}\n", name, labels, bound, below);
      }
      out += format("{}_sum{{{}}} {:g}\n", name, labels, histogram->sum_.load(std::memory_order_relaxed));
      out += format("{}_count{{{}}} {}\n", name, labels, below);
    }
  }
  for (const auto& [name, value] : gauges_) {
    out += format("# TYPE {} gauge\n{} {:.15g}\n", name, name, value());
  }
  return out;
}

}  // namespace slip::serving
