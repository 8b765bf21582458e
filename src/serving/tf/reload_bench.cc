// What TensorFlow keeps of every session that was closed, with nothing of the server around it:
// serving_reload TENSORFLOW_FOLDER MODEL_FOLDER [RELOADS]
//
// Loads and closes the model RELOADS times and prints, now and then, what the allocator has handed out (a leak if it
// grows) and what the process holds (more than that where blocks lie scattered).
#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "core/error.h"
#include "serving/tf/api.h"

namespace {

using slip::serving::TfApi;

void check(const TfApi& api, TF_Status* status, const char* what) {
  if (api.GetCode(status) != 0) {
    throw slip::Error(slip::ErrorKind::Invalid, "{}: {}", what, api.Message(status));
  }
}

void load_and_close(const TfApi& api, const char* folder) {
  TF_Status* status = api.NewStatus();
  TF_SessionOptions* options = api.NewSessionOptions();
  TF_Graph* graph = api.NewGraph();
  TF_Buffer* meta = api.NewBuffer();
  const char* tags[] = {"serve"};
  TF_Session* session = api.LoadSessionFromSavedModel(options, nullptr, folder, tags, 1, graph, meta, status);
  check(api, status, "load the model");
  api.CloseSession(session, status);
  check(api, status, "close the session");
  api.DeleteSession(session, status);
  api.DeleteBuffer(meta);
  api.DeleteGraph(graph);
  api.DeleteSessionOptions(options);
  api.DeleteStatus(status);
}

long anonymous_kb() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word == "RssAnon:") {
      long kb = 0;
      status >> kb;
      return kb;
    }
  }
  return 0;
}

void run(const char* tensorflow, const char* folder, int reloads) {
  const TfApi& api = slip::serving::load_tensorflow(tensorflow);
  std::printf("reloads   in use kB   anonymous kB\n");
  for (int i = 1; i <= reloads; ++i) {
    load_and_close(api, folder);
    ::malloc_trim(0);
    if (i == 1 || i % (reloads < 10 ? 1 : reloads / 10) == 0) {
      std::printf("%7d %11zu %14ld\n", i, ::mallinfo2().uordblks / 1024, anonymous_kb());
      std::fflush(stdout);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: serving_reload TENSORFLOW_FOLDER MODEL_FOLDER [RELOADS]\n", stderr);
    return 2;
  }
  try {
    run(argv[1], argv[2], argc > 3 ? std::atoi(argv[3]) : 200);
  } catch (const slip::Error& error) {
    std::fprintf(stderr, "error: %s\n", error.joined().c_str());
    return 1;
  }
  std::fflush(nullptr);
  std::_Exit(0);  // TensorFlow's own threads outlive main()
}
