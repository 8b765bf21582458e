#pragma once

#include <cstdint>

/// What model images (`slipway ship`) and those who run or read them agree on.
namespace slip::image {

/// Ports inside. The launch plan or an engine's `-p` decides where they are published.
inline constexpr int kRestPort = 8501;
inline constexpr int kGrpcPort = 8500;
/// Id of the user and group.
inline constexpr std::uint32_t kModelUserId = 65532;
/// The label that names model, version, signatures and runtime, as JSON.
inline constexpr const char* kModelLabel = "dev.slipway.model";

}  // namespace slip::image
