// A connection that has left Node.js for as long as a body arrives: its bytes go from the kernel to where they are wanted
// without passing through JavaScript.
//
//   socketTake(fd)          -> socket   a descriptor of its own for the connection; that of the caller may be closed
//   socketReadable(socket)  -> promise  of the moment at which something can be read, the end included
//   socketShutdown(socket)              nothing more is received: whoever waits finds the end
//   socketRelease(socket)   -> fd       the descriptor, which belongs to the caller from now on
//   socketClose(socket)
#pragma once

#include <node_api.h>

#include <atomic>
#include <memory>

namespace yore {

// Closed with its last owner, unless it was released.
struct BodySocket {
  explicit BodySocket(int descriptor) : fd(descriptor) {}
  BodySocket(const BodySocket&) = delete;
  BodySocket& operator=(const BodySocket&) = delete;
  ~BodySocket();
  std::atomic<int> fd;
  // While somebody reads or waits: one at a time.
  std::atomic<bool> busy{false};
};

// nullptr: an exception is pending.
std::shared_ptr<BodySocket> GetBodySocket(napi_env env, napi_value value);

}  // namespace yore
