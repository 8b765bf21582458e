#pragma once

namespace slip::model {

/// The licences of slipway-serve and slipway-init, and of what is linked into them.
extern const char* const kNotices;

}  // namespace slip::model
