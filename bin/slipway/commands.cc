// The table of commands. A command is one file command_NAME.cc with its make_NAME(), and one row here.
#include <array>

#include "command.h"

namespace slip::cli {

std::unique_ptr<Command> make_init();
std::unique_ptr<Command> make_config();
std::unique_ptr<Command> make_completion();
std::unique_ptr<Command> make_help();

namespace {

constexpr std::array kCommands = {
    Entry{"init", Group::Build, "Write a commented slipway.yaml to start from", make_init},
    Entry{"config", Group::Inspect, "Show every setting and where its value came from", make_config},
    Entry{"completion", Group::Inspect, "Print the completion script for a shell", make_completion},
    Entry{"help", Group::Hidden, "Show the help of slipway or of one command", make_help},
};

}  // namespace

std::span<const Entry> commands() { return kCommands; }

}  // namespace slip::cli
