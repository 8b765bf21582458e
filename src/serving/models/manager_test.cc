#include "serving/models/manager.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "serving/tf/fixture.h"

namespace slip::serving {
namespace {

constexpr auto kLong = std::chrono::minutes(2);  ///< only a test that fails waits for it

/// A warm-up that takes as long as a test wants it to.
class SlowLoads {
 public:
  /// Every load waits until `together` of them run at once.
  explicit SlowLoads(int together) : together_(together) {}

  Result<std::size_t> operator()() {
    std::unique_lock lock(mutex_);
    ++running_;
    most_ = std::max(most_, running_);
    met_ |= running_ == together_;
    changed_.notify_all();
    const bool met = changed_.wait_for(lock, kLong, [this] { return met_; });
    --running_;
    changed_.notify_all();
    return met ? Result<std::size_t>(1) : fail(Code::DeadlineExceeded, "no other version loads meanwhile");
  }
  /// The next loads wait for each other again.
  void again() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return running_ == 0; });
    met_ = false;
  }
  int most() {
    const std::lock_guard lock(mutex_);
    return most_;
  }

 private:
  const int together_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int running_ = 0;
  int most_ = 0;
  bool met_ = false;
};

class ManagerTest : public test::WithTensorflow {
 protected:
  static ModelConfig model(const std::string& name) {
    ModelConfig config;
    config.name = name;
    config.base_path = test::model_folder("half_plus_two_tf2");
    return config;
  }
  static std::unique_ptr<Manager> manager(unsigned load_threads, SlowLoads& loads) {
    static Log log(Log::Form::Text);
    LifecycleSettings settings;
    settings.load_threads = load_threads;
    settings.retries = 0;
    LifecycleHooks hooks;
    hooks.warmup = [&loads](const Servable&, const std::filesystem::path&) { return loads(); };
    return std::make_unique<Manager>(test::tensorflow(), settings, log, hooks);
  }
};

TEST_F(ManagerTest, LoadThreadsLoadModelsSideBySide) {
  SlowLoads loads(2);
  const auto manager = ManagerTest::manager(2, loads);
  ASSERT_TRUE(manager->configure({model("a"), model("b")}));
  manager->start();
  EXPECT_EQ(manager->await(kLong).code, Code::Ok);
  // on reload too, and two versions of one model
  loads.again();
  ModelConfig versions = model("c");
  versions.policy.kind = VersionPolicy::Kind::All;
  ASSERT_TRUE(manager->configure({model("a"), model("b"), versions}));
  EXPECT_EQ(manager->await(kLong).code, Code::Ok);
  for (const auto end = Clock::now() + kLong; manager->serving("c").size() < 2 && Clock::now() < end;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(manager->serving("c").size(), 2u);
  EXPECT_EQ(manager->serving("").size(), 4u);
}

TEST_F(ManagerTest, WithoutLoadThreadsOneVersionLoadsAfterTheOther) {
  SlowLoads loads(1);
  const auto manager = ManagerTest::manager(0, loads);
  ModelConfig versions = model("a");
  versions.policy.kind = VersionPolicy::Kind::All;
  ASSERT_TRUE(manager->configure({versions, model("b")}));
  manager->start();
  EXPECT_EQ(manager->await(kLong).code, Code::Ok);
  EXPECT_EQ(loads.most(), 1);
}

}  // namespace
}  // namespace slip::serving
