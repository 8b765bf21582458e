#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <type_traits>

/// The part of TensorFlow's C API that serving calls. The declarations are ours, so that no header of TensorFlow is
/// needed to build; the functions come from the wheel's libraries at run time.
/// @source tensorflow/c/c_api.h, tf_tensor.h, tf_tstring.h, tf_status.h of TensorFlow 2.9
extern "C" {
struct TF_Status;
struct TF_Tensor;
struct TF_Graph;
struct TF_Session;
struct TF_SessionOptions;
struct TF_Operation;
struct TF_Buffer {
  const void* data;
  std::size_t length;
  void (*data_deallocator)(void* data, std::size_t length);
};
struct TF_Output {
  TF_Operation* oper;
  int index;
};
/// One string element: 24 bytes, the text inline when it is short.
struct TF_TString {
  alignas(8) unsigned char bytes[24];
};
}

namespace slip::serving {

/// One row per function: its name behind `TF_`, its type.
#define SLIP_TF_FUNCTIONS(X)                                                                                    \
  X(Version, const char*())                                                                                     \
  X(NewStatus, TF_Status*())                                                                                    \
  X(DeleteStatus, void(TF_Status*))                                                                             \
  X(GetCode, int(const TF_Status*))                                                                             \
  X(Message, const char*(const TF_Status*))                                                                     \
  X(NewBuffer, TF_Buffer*())                                                                                    \
  X(DeleteBuffer, void(TF_Buffer*))                                                                             \
  X(GetAllOpList, TF_Buffer*())                                                                                 \
  X(GraphVersions, void(TF_Graph*, TF_Buffer*, TF_Status*))                                                     \
  X(NewGraph, TF_Graph*())                                                                                      \
  X(DeleteGraph, void(TF_Graph*))                                                                               \
  X(GraphOperationByName, TF_Operation*(TF_Graph*, const char*))                                                \
  X(OperationNumOutputs, int(TF_Operation*))                                                                    \
  X(NewSessionOptions, TF_SessionOptions*())                                                                    \
  X(DeleteSessionOptions, void(TF_SessionOptions*))                                                             \
  X(SetConfig, void(TF_SessionOptions*, const void*, std::size_t, TF_Status*))                                  \
  X(LoadSessionFromSavedModel, TF_Session*(const TF_SessionOptions*, const TF_Buffer*, const char*,             \
                                           const char* const*, int, TF_Graph*, TF_Buffer*, TF_Status*))         \
  X(CloseSession, void(TF_Session*, TF_Status*))                                                                \
  X(DeleteSession, void(TF_Session*, TF_Status*))                                                               \
  X(SessionRun, void(TF_Session*, const TF_Buffer*, const TF_Output*, TF_Tensor* const*, int, const TF_Output*, \
                     TF_Tensor**, int, const TF_Operation* const*, int, TF_Buffer*, TF_Status*))                \
  X(NewTensor,                                                                                                  \
    TF_Tensor*(int, const std::int64_t*, int, void*, std::size_t, void (*)(void*, std::size_t, void*), void*))  \
  X(DeleteTensor, void(TF_Tensor*))                                                                             \
  X(TensorType, int(const TF_Tensor*))                                                                          \
  X(NumDims, int(const TF_Tensor*))                                                                             \
  X(Dim, std::int64_t(const TF_Tensor*, int))                                                                   \
  X(TensorByteSize, std::size_t(const TF_Tensor*))                                                              \
  X(TensorData, void*(const TF_Tensor*))                                                                        \
  X(StringInit, void(TF_TString*))                                                                              \
  X(StringCopy, void(TF_TString*, const char*, std::size_t))                                                    \
  X(StringDealloc, void(TF_TString*))                                                                           \
  X(StringGetDataPointer, const char*(const TF_TString*))                                                       \
  X(StringGetSize, std::size_t(const TF_TString*))

/// TensorFlow's C API as a table; every entry is set.
struct TfApi {
#define SLIP_TF_MEMBER(name, ...) std::add_pointer_t<__VA_ARGS__> name = nullptr;
  SLIP_TF_FUNCTIONS(SLIP_TF_MEMBER)
#undef SLIP_TF_MEMBER
};

/// Loads the two libraries of a TensorFlow 2.9 wheel without a Python: the symbols they import from it are the stubs
/// inside this program. They stay loaded until the process ends.
///
/// @param folder  the wheel's `tensorflow` folder: libtensorflow_framework.so.2, python/_pywrap_tensorflow_internal.so
/// @throws Error  NotFound: a library is not there; Unsupported: the processor has no AVX, or the libraries are of
///                another make
const TfApi& load_tensorflow(const std::filesystem::path& folder);

}  // namespace slip::serving
