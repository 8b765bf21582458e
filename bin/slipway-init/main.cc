// PID 1 of every image slipway builds. It becomes the command that it is given:
//
//   slipway-init [--] COMMAND [ARGUMENT…]
//
// Linked statically against musl without the C++ library, so that it runs in any image; supervision of services
// goes into this program, which is why images start with it.
#include <errno.h>
#include <string.h>
#include <unistd.h>

namespace {

void say(const char* text) {
  const size_t n = strlen(text);
  [[maybe_unused]] const ssize_t written = write(2, text, n);
}

}  // namespace

int main(int argc, char** argv) {
  char** command = argv + 1;
  if (argc > 1 && strcmp(argv[1], "--") == 0) {
    ++command;
  }
  if (*command == nullptr) {
    say("slipway-init: no command given\n");
    return 2;
  }
  execvp(*command, command);
  const int why = errno;
  say("slipway-init: cannot run `");
  say(*command);
  say("`: ");
  say(strerror(why));
  say("\n");
  return why == ENOENT ? 127 : 126;
}
