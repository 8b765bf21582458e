#pragma once

// libsolv is written in C and names a field of Solvable `requires`, which is a keyword in C++20. All of its headers
// that we use come in through here, so that every file sees the same name for it.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#define requires requires_of
extern "C" {
#include <solv/pool.h>
#include <solv/poolarch.h>
#include <solv/problems.h>
#include <solv/repo.h>
#include <solv/repo_deb.h>
#include <solv/solver.h>
}
#undef requires
