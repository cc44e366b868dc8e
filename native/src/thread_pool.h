// Work off the main thread, on threads of our own: libuv's pool has four threads that it shares with fs and dns, and
// its size cannot be set from inside an ES module. One call is one hop there and one hop back.
//
//   class SumTask final : public Task {
//    public:
//     SumTask(Bytes input) : input_(input) {}
//     void Execute() override {                       // on a pool thread: no env, no napi call
//       for (size_t i = 0; i < input_.size; i++) sum_ += input_.data[i];
//     }
//     napi_value Complete(napi_env env) override {    // on the JavaScript thread: the promise's value
//       return MakeNumber(env, sum_);
//     }
//    private:
//     Bytes input_;
//     double sum_ = 0;
//   };
//
//   napi_value Sum(napi_env env, napi_callback_info info) {
//     Arguments<1> arguments(env, info);
//     Bytes input;
//     if (!GetBytes(env, arguments[0], "data", &input)) return nullptr;
//     auto task = std::make_unique<SumTask>(input);
//     if (!task->Hold(env, arguments[0])) return Abandon(env, std::move(task));  // bytes stay alive while it works
//     return Submit(env, std::move(task));                                       // a promise
//   }
//
// Rules
// - Execute sees only what was copied or held before. A C++ exception thrown in it rejects the promise.
// - Complete rejects by leaving a JavaScript exception pending (napi_throw); what it returns then is ignored.
// - Bytes that are held may be read and written by Execute, JavaScript must leave them alone (and not transfer them)
//   until the promise is settled.
// - Pending work keeps the event loop alive, an idle pool does not.
// - When an environment ends (worker.terminate(), end of the process), work not begun is dropped, work begun is waited
//   for, and no Complete is called any more: destructors must not need an env.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <vector>

namespace yore {

class EnvironmentTasks;

class Task {
 public:
  Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  virtual ~Task() = default;

  virtual void Execute() = 0;
  virtual napi_value Complete(napi_env env) = 0;

  // Some do more in the same time together with another of their kind. A thread takes both when the second one would have
  // to wait: it is the next in the queue but not the last, and no thread is idle. Then ExecuteWith is called instead of
  // Execute. nullptr: of a kind that is executed alone.
  virtual const char* PairKind() const { return nullptr; }
  virtual void ExecuteWith(Task& companion) {
    Execute();
    companion.Execute();
  }

  // Keeps an object (a buffer, an array) from being collected until the task is done. False: an exception is pending.
  bool Hold(napi_env env, napi_value object);

 private:
  friend class EnvironmentTasks;
  friend napi_value Abandon(napi_env env, std::unique_ptr<Task> task);
  void Release(napi_env env);

  std::vector<napi_ref> held_;
  napi_deferred deferred_ = nullptr;
  bool failed_ = false;
  std::string failure_;
};

// Pools of their own, so that a hung network file system never keeps a read of the mount from being decrypted.
enum class Lane {
  // As many threads as cores: arithmetic.
  kCompute,
  // Some more: work that waits for disks.
  kBlocking,
  // Many: those that wait for fsync at the same time share what the file system writes for it. 5,000 small files over 16
  // connections onto ext4 took 5.4 s in four threads, and 3.3 s in sixteen.
  kSyncing,
};

// Once for each environment, before the first Submit. False: an exception is pending.
bool AttachThreadPool(napi_env env);

// Queues the task and returns a promise of what Complete returns; nullptr: an exception is pending.
napi_value Submit(napi_env env, std::unique_ptr<Task> task, Lane lane = Lane::kCompute);

// As Submit, for arithmetic on so many bytes, read or written: what is sooner done than handed over and taken back is done
// at once, on the thread of the caller.
napi_value SubmitUnlessSmall(napi_env env, std::unique_ptr<Task> task, uint64_t bytes);

// For a task that is not submitted after all (an argument was refused): lets go of what it holds. Returns nullptr, so
// that a function can end with it; the exception stays pending.
napi_value Abandon(napi_env env, std::unique_ptr<Task> task);

// How many threads compute: callers cut their work accordingly.
unsigned ComputeThreads();

}  // namespace yore
