// A connection beside Node.js, for as long as a body is on its way: the bytes go from socket to file, or from file to socket,
// without passing through JavaScript.
//
//   socketTake(fd)          -> socket   a descriptor of its own for the connection; that of the caller may be closed
//   socketReadable(socket)  -> promise  of the moment at which something can be read, the end included
//   socketWritable(socket)  -> promise  of the moment at which something can be sent, or nothing ever more
//   socketSend(socket, file, offset, limit) -> bytes  sends what the kernel takes of a file now (Linux)
//   socketShutdown(socket)              nothing more is received: whoever waits finds the end
//   socketAbort(socket)                 the connection ends, whoever else has a descriptor of it
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
  // While somebody reads, sends or waits: one at a time.
  std::atomic<bool> busy{false};
};

// nullptr: an exception is pending.
std::shared_ptr<BodySocket> GetBodySocket(napi_env env, napi_value value);

}  // namespace yore
