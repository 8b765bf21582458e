#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/finding.h"
#include "lock/context.h"
#include "model/checks.h"
#include "model/ship.h"

namespace slip::model {

/// One request that the shipped model was asked, and its answer.
struct Exchange {
  std::string signature;
  std::string request;  ///< REST body
  std::string answer;
};

struct Proof {
  std::vector<Finding> findings;    ///< "load", then "predict NAME" per signature
  std::vector<Exchange> exchanges;  ///< the answered ones
};

/// What the runtime in an image's root can run, asked of the program itself; kept by the programs' digests.
RuntimeFacts facts_of(const ShipPlan& plan, const std::filesystem::path& root, lock::Context& context);

/// Starts the image as it is, on a read-only system with no network but its own loopback, waits until the model serves
/// (its own warm-up requests have run then), and asks every signature of each version that a request can be made for.
/// The exchanges are those of the newest.
///
/// @param requests  further REST bodies for `:predict`
/// @param ask       command line that runs ask_inside(): gets the words PID and PORT, requests on stdin
/// @throws Error Invalid with the server's last lines when it does not serve, or with its answer when a request fails
Proof prove(const std::vector<SavedModel>& versions, const std::filesystem::path& root,
            const std::vector<std::string>& requests, const std::vector<std::string>& ask, lock::Context& context);

}  // namespace slip::model
