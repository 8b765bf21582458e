#include "wheel/name.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/text.h"
#include "os/process.h"
#include "wheel/tags.h"

namespace slip::wheel {
namespace {

os::CommandResult run_python(const std::string& program) {
  os::Command command;
  command.argv = {"python3", "-c", program};
  return os::run_command(command);
}

/// True when this machine's python3 has the `packaging` library, our oracle.
bool has_packaging() {
  try {
    return run_python("import packaging.tags, packaging.utils").status.ok();
  } catch (const Error&) {
    return false;
  }
}

TEST(Name, IsNormalisedAsPep503Says) {
  EXPECT_EQ(normalise("Jupyter.Contrib_Core"), "jupyter-contrib-core");
  EXPECT_EQ(normalise("a-_.b"), "a-b");
  EXPECT_EQ(normalise("PyYAML"), "pyyaml");
}

TEST(Name, WheelNamesComeApart) {
  const auto wheel = parse_wheel_name("Keras_Preprocessing-1.1.2-py2.py3-none-any.whl");
  ASSERT_TRUE(wheel);
  EXPECT_EQ(wheel->name, "keras-preprocessing");
  EXPECT_EQ(wheel->version, "1.1.2");
  EXPECT_EQ(wheel->pythons, (std::vector<std::string>{"py2", "py3"}));
  const auto build = parse_wheel_name("x-1.0-2-cp39-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl");
  ASSERT_TRUE(build);
  EXPECT_EQ(build->version, "1.0");
  EXPECT_EQ(build->build, (std::pair<std::uint64_t, std::string>(2, "")));
  EXPECT_EQ(parse_wheel_name("x-1.0-12local-py3-none-any.whl")->build,
            (std::pair<std::uint64_t, std::string>(12, "local")));
  EXPECT_EQ(parse_wheel_name("x-1.0-202603011200-py3-none-any.whl")->build.first, 202603011200U);
  EXPECT_TRUE(parse_wheel_name("x-1.0-99999999999999999999-py3-none-any.whl"));
  EXPECT_LT(wheel->build, build->build);
  EXPECT_EQ(build->abis, (std::vector<std::string>{"abi3"}));
  EXPECT_EQ(build->platforms.size(), 2U);
}

TEST(Name, WhatIsNoWheelNameIsRefused) {
  for (const char* name : {"", ".whl", "x.whl", "x-1-py3-none.whl", "x-1-py3-none-any.zip", "a/x-1-py3-none-any.whl",
                           "--py3-none-any.whl", "x-1-2-3-py3-none-any.whl", "x-1-two-py3-none-any.whl"}) {
    EXPECT_FALSE(parse_wheel_name(name)) << name;
  }
}

TEST(Name, SdistNamesComeApart) {
  const auto plain = parse_sdist_name("jupyter_contrib_core-0.4.2.tar.gz");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->name, "jupyter-contrib-core");
  EXPECT_EQ(plain->version, "0.4.2");
  const auto dashed = parse_sdist_name("python-dateutil-2.9.0.post0.tar.gz");
  ASSERT_TRUE(dashed);
  EXPECT_EQ(dashed->name, "python-dateutil");
  EXPECT_FALSE(parse_sdist_name("x-1.0.exe"));
  EXPECT_FALSE(parse_sdist_name("noversion.tar.gz"));
  EXPECT_FALSE(parse_sdist_name("../../x-1.0.tar.gz"));
}

TEST(Name, TheProjectOfARequirement) {
  EXPECT_EQ(requirement_name("black[jupyter]>=24 ; python_version<'4'"), "black");
  EXPECT_EQ(requirement_name("  Scikit_Learn==1.2.2"), "scikit-learn");
  EXPECT_EQ(requirement_name("x @ file:///y"), "x");
}

TEST(Version, ReleasesCompareByNumber) {
  EXPECT_LT(compare_release("2.9.0", "2.10"), 0);
  EXPECT_EQ(compare_release("2.9", "2.9.0"), 0);
  EXPECT_GT(compare_release("1.26.4", "1.26"), 0);
}

TEST(Version, SpellingsOfOneVersionAgree) {
  EXPECT_TRUE(same_version("1.0", "1.0.0"));
  EXPECT_TRUE(same_version("1.0RC1", "1.0rc1"));
  EXPECT_TRUE(same_version("2.9.0.post0", "2.9.0-post0"));
  EXPECT_FALSE(same_version("1.0", "1.0.1"));
  EXPECT_FALSE(same_version("1.0rc1", "1.0"));
  EXPECT_FALSE(same_version("1.0+cpu", "1.0"));
}

unsigned rank(const char* file, const char* python = "3.9", const char* glibc = "2.31") {
  const auto wheel = parse_wheel_name(file);
  return tag_rank(wheel.value(), tag_target(python, glibc)).value_or(1'000'000);
}

TEST(Tags, WhatDoesNotRunIsRefused) {
  for (const char* file :
       {"x-1-cp310-cp310-manylinux_2_17_x86_64.whl", "x-1-cp39-cp39-manylinux_2_17_aarch64.whl",
        "x-1-cp39-cp39-win_amd64.whl", "x-1-cp39-cp39-musllinux_1_1_x86_64.whl",
        "x-1-cp39-cp39-manylinux_2_34_x86_64.whl", "x-1-cp310-abi3-manylinux1_x86_64.whl", "x-1-py2-none-any.whl",
        "x-1-py310-none-any.whl", "x-1-cp39-cp39-any.whl", "x-1-pp39-pypy39_pp73-manylinux1_x86_64.whl"}) {
    EXPECT_EQ(rank(file), 1'000'000U) << file;
  }
}

TEST(Tags, TheNearestFitWins) {
  const char* best_first[] = {"x-1-cp39-cp39-manylinux_2_28_x86_64.whl",
                              "x-1-cp39-cp39-manylinux2014_x86_64.whl",
                              "x-1-cp39-abi3-manylinux2014_x86_64.whl",
                              "x-1-cp37-abi3-manylinux2014_x86_64.whl",
                              "x-1-py3-none-manylinux2014_x86_64.whl",
                              "x-1-py3-none-any.whl",
                              "x-1-py38-none-any.whl"};
  for (std::size_t i = 1; i < std::size(best_first); ++i) {
    EXPECT_LT(rank(best_first[i - 1]), rank(best_first[i])) << best_first[i];
  }
}

/// The order of every tag that `packaging` knows for a target must be ours.
void expect_order_of_packaging(const std::string& python, const std::string& glibc) {
  const std::string minor = python.substr(2);
  const std::string program = format(
      "import packaging.tags as t, packaging._manylinux as m\n"
      "m._get_glibc_version = lambda: (2, {})\n"
      "m._is_compatible = lambda *a: True\n"
      "m._have_compatible_abi = lambda *a: True\n"
      "g = getattr(m._get_glibc_version, 'cache_clear', None)\n"
      "p = list(m.platform_tags(['x86_64'])) if 'archs' in m.platform_tags.__code__.co_varnames else "
      "list(m.platform_tags('linux_x86_64', 'x86_64'))\n"
      "p.append('linux_x86_64')\n"
      "for x in list(t.cpython_tags((3, {}), ['cp3{}'], p)) + list(t.compatible_tags((3, {}), 'cp3{}', p)): print(x)\n",
      glibc.substr(2), minor, minor, minor, minor);
  const auto ran = run_python(program);
  ASSERT_TRUE(ran.status.ok()) << ran.err;
  unsigned last = 0;
  std::size_t seen = 0;
  for (const std::string_view line : split(trim(ran.out), '\n')) {
    const std::string tag(line);
    const unsigned mine = rank(("x-1-" + tag + ".whl").c_str(), python.c_str(), glibc.c_str());
    if (tag.find("-linux_x86_64") != std::string::npos) {
      continue;  // behind all manylinux: no index carries such wheels
    }
    ASSERT_NE(mine, 1'000'000U) << tag;
    ASSERT_GE(mine, last) << tag;
    last = mine;
    ++seen;
  }
  EXPECT_GT(seen, 300U);
}

TEST(Tags, TheOrderIsThatOfPackaging) {
  if (!has_packaging()) {
    GTEST_SKIP() << "python3-packaging is not installed";
  }
  expect_order_of_packaging("3.9", "2.31");
  expect_order_of_packaging("3.11", "2.36");
  expect_order_of_packaging("3.13", "2.41");
}

}  // namespace
}  // namespace slip::wheel
