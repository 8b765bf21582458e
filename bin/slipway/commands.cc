// The table of commands. A command is one file command_NAME.cc with its make_NAME(), and one row here.
#include <array>

#include "command.h"

namespace slip::cli {

std::unique_ptr<Command> make_init();
std::unique_ptr<Command> make_lock();
std::unique_ptr<Command> make_build();
std::unique_ptr<Command> make_run();
std::unique_ptr<Command> make_up();
std::unique_ptr<Command> make_down();
std::unique_ptr<Command> make_ps();
std::unique_ptr<Command> make_logs();
std::unique_ptr<Command> make_exec();
std::unique_ptr<Command> make_ssh();
std::unique_ptr<Command> make_open();
std::unique_ptr<Command> make_restart();
std::unique_ptr<Command> make_passwd();
std::unique_ptr<Command> make_ssh_config();
std::unique_ptr<Command> make_ship();
std::unique_ptr<Command> make_login();
std::unique_ptr<Command> make_logout();
std::unique_ptr<Command> make_push();
std::unique_ptr<Command> make_pull();
std::unique_ptr<Command> make_tag();
std::unique_ptr<Command> make_images();
std::unique_ptr<Command> make_rm();
std::unique_ptr<Command> make_gc();
std::unique_ptr<Command> make_serve();
std::unique_ptr<Command> make_verify();
std::unique_ptr<Command> make_bundle();
std::unique_ptr<Command> make_diff();
std::unique_ptr<Command> make_explain();
std::unique_ptr<Command> make_doctor();
std::unique_ptr<Command> make_audit();
std::unique_ptr<Command> make_sbom();
std::unique_ptr<Command> make_config();
std::unique_ptr<Command> make_completion();
std::unique_ptr<Command> make_help();
std::unique_ptr<Command> make_monitor();
std::unique_ptr<Command> make_ask();

namespace {

constexpr std::array kCommands = {
    Entry{"init", Group::Build, "Write a commented slipway.yaml to start from", make_init},
    Entry{"lock", Group::Build, "Resolve the spec into slipway.lock", make_lock},
    Entry{"build", Group::Build, "Build the image that slipway.lock describes", make_build},
    Entry{"verify", Group::Build, "Make an image again from its lock and compare the bytes", make_verify},
    Entry{"diff", Group::Build, "Compare two images or two locks", make_diff},
    Entry{"explain", Group::Build, "Say what a file or a package is doing in an image, and what it costs", make_explain},
    Entry{"bundle", Group::Build, "Write an image and everything its lock names as one archive", make_bundle},
    Entry{"up", Group::Run, "Start the workspace: Jupyter and SSH on loopback", make_up},
    Entry{"down", Group::Run, "Stop a workspace", make_down},
    Entry{"ps", Group::Run, "List workspaces and what they use", make_ps},
    Entry{"logs", Group::Run, "Print what the services of a workspace wrote", make_logs},
    Entry{"exec", Group::Run, "Run a command inside a running workspace", make_exec},
    Entry{"ssh", Group::Run, "Log in to a workspace", make_ssh},
    Entry{"open", Group::Run, "Open Jupyter in the browser", make_open},
    Entry{"restart", Group::Run, "Start one service anew", make_restart},
    Entry{"passwd", Group::Run, "Set a password for Jupyter", make_passwd},
    Entry{"ssh-config", Group::Run, "Print the ssh_config lines of a workspace", make_ssh_config},
    Entry{"run", Group::Run, "Run a command in the locked environment", make_run},
    Entry{"login", Group::Share, "Log in to a registry", make_login},
    Entry{"logout", Group::Share, "Forget the credentials of a registry", make_logout},
    Entry{"push", Group::Share, "Push an image to a registry", make_push},
    Entry{"pull", Group::Share, "Pull an image from a registry", make_pull},
    Entry{"tag", Group::Share, "Give an image another name", make_tag},
    Entry{"images", Group::Share, "List the images of the store", make_images},
    Entry{"rm", Group::Share, "Take an image's name away", make_rm},
    Entry{"gc", Group::Share, "Free the disk space of what no image needs", make_gc},
    Entry{"ship", Group::Deliver, "Make a slim image that serves a SavedModel", make_ship},
    Entry{"serve", Group::Deliver, "Serve a SavedModel over REST and gRPC from the working tree", make_serve},
    Entry{"doctor", Group::Inspect, "Look at this machine: what it can do, and what kills left on it", make_doctor},
    Entry{"audit", Group::Inspect, "Check an image or a running workspace against the security list", make_audit},
    Entry{"sbom", Group::Inspect, "Print what an image is made of: SPDX, CycloneDX or SLSA provenance", make_sbom},
    Entry{"config", Group::Inspect, "Show every setting and where its value came from", make_config},
    Entry{"completion", Group::Inspect, "Print the completion script for a shell", make_completion},
    Entry{"help", Group::Hidden, "Show the help of slipway or of one command", make_help},
    Entry{"ask", Group::Hidden, "Send requests to a model that is being proven", make_ask},
    Entry{"monitor", Group::Hidden, "Run a workspace until it ends", make_monitor},
};

}  // namespace

std::span<const Entry> commands() { return kCommands; }

}  // namespace slip::cli
