// The table of commands. A command is one file command_NAME.cc with its make_NAME(), and one row here.
#include <array>

#include "command.h"

namespace slip::cli {

std::unique_ptr<Command> make_init();
std::unique_ptr<Command> make_lock();
std::unique_ptr<Command> make_build();
std::unique_ptr<Command> make_run();
std::unique_ptr<Command> make_images();
std::unique_ptr<Command> make_rm();
std::unique_ptr<Command> make_gc();
std::unique_ptr<Command> make_config();
std::unique_ptr<Command> make_completion();
std::unique_ptr<Command> make_help();

namespace {

constexpr std::array kCommands = {
    Entry{"init", Group::Build, "Write a commented slipway.yaml to start from", make_init},
    Entry{"lock", Group::Build, "Resolve the spec into slipway.lock", make_lock},
    Entry{"build", Group::Build, "Build the image that slipway.lock describes", make_build},
    Entry{"run", Group::Run, "Run a command in the locked environment", make_run},
    Entry{"images", Group::Share, "List the images of the store", make_images},
    Entry{"rm", Group::Share, "Take an image's name away", make_rm},
    Entry{"gc", Group::Share, "Free the disk space of what no image needs", make_gc},
    Entry{"config", Group::Inspect, "Show every setting and where its value came from", make_config},
    Entry{"completion", Group::Inspect, "Print the completion script for a shell", make_completion},
    Entry{"help", Group::Hidden, "Show the help of slipway or of one command", make_help},
};

}  // namespace

std::span<const Entry> commands() { return kCommands; }

}  // namespace slip::cli
