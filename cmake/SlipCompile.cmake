# What every target of slipway is compiled with: link to slip::compile.
add_library(slip_compile INTERFACE)
add_library(slip::compile ALIAS slip_compile)
target_include_directories(slip_compile INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(slip_compile INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual -Wswitch-enum
  # gcc 12 -O2 reports a false -Wrestrict on `"/" + s`.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  # clang 19 reports what libstdc++ 12 itself deprecates within std::stable_sort.
  $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>
  $<$<BOOL:${SLIP_DEV}>:-Werror>)
if(SLIP_SANITIZE)
  target_compile_options(slip_compile INTERFACE -fsanitize=${SLIP_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(slip_compile INTERFACE -fsanitize=${SLIP_SANITIZE})
endif()
if(SLIP_FUZZ)
  target_compile_options(slip_compile INTERFACE -fsanitize=fuzzer-no-link)
endif()
target_link_libraries(slip_compile INTERFACE Threads::Threads)

find_program(SLIP_CCACHE ccache)
if(SLIP_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${SLIP_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${SLIP_CCACHE})
endif()
find_program(SLIP_MOLD mold)
if(SLIP_MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_link_options(-fuse-ld=mold)
endif()
