#include "thread_pool.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <thread>

#include "courtesy.h"
#include "heap_pages.h"
#include "napi_helpers.h"
#include "placement.h"

namespace yore {

namespace {

// At process.exit() Node.js runs no environment clean-up: an exit handler waits so long for tasks under way, because
// OpenSSL goes next. Arithmetic ends by itself; a hung disk does not, and must not hold up the end of the process.
constexpr auto kComputePatience = std::chrono::seconds(30);
constexpr auto kBlockingPatience = std::chrono::seconds(2);

// A hop costs 17 us of processor time, hashing so much or less 4.
constexpr uint64_t kSmallBytes = 8192;

constexpr Lane kLanes[] = {Lane::kCompute, Lane::kBlocking, Lane::kSyncing};

// As many as packs of a busy server that end at once; a thread that waits costs its stack.
constexpr unsigned kSyncingThreads = 16;

}  // namespace

// The tasks of one environment: what is under way, what is done, and the bell that calls the JavaScript thread.
class EnvironmentTasks {
 public:
  static EnvironmentTasks* Create(napi_env env);

  ~EnvironmentTasks() = default;

  // JavaScript thread.
  napi_value Enqueue(napi_env env, std::unique_ptr<Task> task, Lane lane);

  // JavaScript thread.
  napi_value DoNow(napi_env env, std::unique_ptr<Task> task);

  // Pool thread. `companion`: nullptr, or what is executed with it.
  void Run(std::unique_ptr<Task> task, std::unique_ptr<Task> companion);

 private:
  static void OnBell(napi_env env, napi_value, void* context, void*);
  static void OnCleanup(void* self);

  static void Execute(Task* task, Task* companion);
  void Done(std::unique_ptr<Task> task);
  void CompleteAll(napi_env env);
  void Settle(napi_env env, Task* task);

  napi_env env_ = nullptr;
  napi_threadsafe_function bell_ = nullptr;
  // JavaScript thread only. The event loop is kept alive while it is not 0.
  size_t pending_ = 0;
  bool closed_ = false;

  std::mutex mutex_;
  std::condition_variable idle_;
  std::deque<std::unique_ptr<Task>> done_;
  // Tasks on pool threads that may still touch this object.
  size_t running_ = 0;
  bool bell_rung_ = false;

  friend class ThreadPool;
};

// Threads started as they are needed, never ended: they and this object live until the process dies. (A thread that
// ended during exit() would run destructors of its OpenSSL contexts after OpenSSL has cleaned itself up.)
class ThreadPool {
 public:
  static ThreadPool& Of(Lane lane);

  ThreadPool(unsigned size, const char* name, std::chrono::seconds exit_patience, bool is_courteous)
      : size_(size), name_(name), exit_patience_(exit_patience), is_courteous_(is_courteous) {}

  unsigned size() const { return size_; }

  // Takes the task unless it throws.
  void Add(std::unique_ptr<Task>& task, EnvironmentTasks* environment) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      // An idle thread may have been notified already and not be awake yet: it counts for one task only.
      if (queue_.size() >= idle_ && started_ < size_) StartThread();
      queue_.push_back({std::move(task), environment});
    }
    // Not with the lock held: a thread that is awake at once would only wait for it.
    work_.notify_one();
  }

  // Takes back what has not begun.
  std::vector<std::unique_ptr<Task>> Withdraw(EnvironmentTasks* environment) {
    std::vector<std::unique_ptr<Task>> withdrawn;
    std::lock_guard<std::mutex> lock(mutex_);
    auto mine = [&](Entry& entry) {
      if (entry.environment != environment) return false;
      withdrawn.push_back(std::move(entry.task));
      return true;
    };
    queue_.erase(std::remove_if(queue_.begin(), queue_.end(), mine), queue_.end());
    return withdrawn;
  }

 private:
  struct Entry {
    std::unique_ptr<Task> task;
    EnvironmentTasks* environment = nullptr;
  };

  static void StopAllAtExit() {
    for (Lane lane : kLanes) Of(lane).Stop();
  }

  // Threads finish what they do and then sleep for ever.
  void Stop() {
    std::unique_lock<std::mutex> lock(mutex_);
    stopping_ = true;
    // Not destroyed: JavaScript's side of these tasks can no longer be reached.
    new std::deque<Entry>(std::move(queue_));
    queue_.clear();
    quiet_.wait_for(lock, exit_patience_, [this] { return busy_ == 0; });
  }

  // With mutex_ held. When the system gives no thread, those there are take the work; with none at all it is an error
  // that the caller sees.
  void StartThread() {
    try {
      sigset_t all, before;
      sigfillset(&all);
      // Signals are for the threads of Node.js: a new thread inherits the mask.
      pthread_sigmask(SIG_SETMASK, &all, &before);
      try {
        std::thread([this] { Loop(); }).detach();
      } catch (...) {
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        throw;
      }
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      started_++;
    } catch (...) {
      if (started_ == 0) throw;
    }
  }

  void Loop() {
#ifdef __linux__
    pthread_setname_np(pthread_self(), name_);
#endif
    ReleaseThread();
    if (is_courteous_) AskForLongSlices();
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      idle_++;
      work_.wait(lock, [this] { return !stopping_ && !queue_.empty(); });
      idle_--;
      Entry entry = TakeFirst();
      Entry companion;
      if (idle_ == 0 && HasCompanion(entry)) companion = TakeFirst();
      busy_++;
      lock.unlock();
      entry.environment->Run(std::move(entry.task), std::move(companion.task));
      if (is_courteous_) LetOthersGoFirst();
      lock.lock();
      busy_--;
      if (stopping_ && busy_ == 0) quiet_.notify_all();
    }
  }

  // With mutex_ held. Counted before the lock is given up, so that a cleanup that found nothing to withdraw waits for it.
  Entry TakeFirst() {
    Entry entry = std::move(queue_.front());
    queue_.pop_front();
    std::lock_guard<std::mutex> environment_lock(entry.environment->mutex_);
    entry.environment->running_++;
    return entry;
  }

  // With mutex_ held. Where nothing else waits, the two are better done side by side: a thread may soon be idle.
  bool HasCompanion(const Entry& entry) const {
    if (queue_.size() < 2 || queue_.front().environment != entry.environment) return false;
    const char* const kind = entry.task->PairKind();
    return kind != nullptr && kind == queue_.front().task->PairKind();
  }

  const unsigned size_;
  const char* const name_;
  const std::chrono::seconds exit_patience_;
  // See courtesy.h.
  const bool is_courteous_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable quiet_;
  std::deque<Entry> queue_;
  unsigned started_ = 0;
  unsigned idle_ = 0;
  unsigned busy_ = 0;
  bool stopping_ = false;
};

ThreadPool& ThreadPool::Of(Lane lane) {
  struct Pools {
    ThreadPool* compute;
    ThreadPool* blocking;
    ThreadPool* syncing;
    Pools() {
      unsigned cores = std::max(1u, std::thread::hardware_concurrency());
      // Two at least, so that one long task never holds up everything.
      compute = new ThreadPool(std::max(2u, cores), "yore-compute", kComputePatience, true);
      blocking = new ThreadPool(std::min(32u, std::max(4u, 2 * cores)), "yore-blocking", kBlockingPatience, false);
      syncing = new ThreadPool(kSyncingThreads, "yore-syncing", kBlockingPatience, false);
      std::atexit(StopAllAtExit);
    }
  };
  static Pools* pools = new Pools();
  switch (lane) {
    case Lane::kCompute:
      return *pools->compute;
    case Lane::kBlocking:
      return *pools->blocking;
    case Lane::kSyncing:
      break;
  }
  return *pools->syncing;
}

bool Task::Hold(napi_env env, napi_value object) {
  napi_ref reference = nullptr;
  if (napi_create_reference(env, object, 1, &reference) != napi_ok) {
    napi_throw_error(env, nullptr, "Cannot hold an argument: it is not an object");
    return false;
  }
  held_.push_back(reference);
  return true;
}

void Task::Release(napi_env env) {
  for (napi_ref reference : held_) napi_delete_reference(env, reference);
  held_.clear();
}

EnvironmentTasks* EnvironmentTasks::Create(napi_env env) {
  auto tasks = std::make_unique<EnvironmentTasks>();
  tasks->env_ = env;
  napi_value name = MakeString(env, "yore");
  if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, tasks.get(), OnBell,
                                      &tasks->bell_) != napi_ok)
    return nullptr;
  napi_unref_threadsafe_function(env, tasks->bell_);
  // Clean-up runs in reverse order: ours, which comes after the bell's, runs before the bell goes.
  napi_add_env_cleanup_hook(env, OnCleanup, tasks.get());
  return tasks.release();
}

napi_value EnvironmentTasks::Enqueue(napi_env env, std::unique_ptr<Task> task, Lane lane) {
  napi_value promise = nullptr;
  if (closed_ || napi_create_promise(env, &task->deferred_, &promise) != napi_ok) {
    task->Release(env);
    napi_throw_error(env, nullptr, "Cannot start work: the environment is closing");
    return nullptr;
  }
  if (pending_++ == 0) napi_ref_threadsafe_function(env, bell_);
  try {
    ThreadPool::Of(lane).Add(task, this);
  } catch (const std::exception& error) {
    if (--pending_ == 0) napi_unref_threadsafe_function(env, bell_);
    task->Release(env);
    napi_throw_error(env, nullptr, (std::string("Cannot start a thread: ") + error.what()).c_str());
    return nullptr;
  }
  return promise;
}

napi_value EnvironmentTasks::DoNow(napi_env env, std::unique_ptr<Task> task) {
  napi_value promise = nullptr;
  if (closed_ || napi_create_promise(env, &task->deferred_, &promise) != napi_ok) {
    task->Release(env);
    napi_throw_error(env, nullptr, "Cannot start work: the environment is closing");
    return nullptr;
  }
  Execute(task.get(), nullptr);
  Settle(env, task.get());
  task->Release(env);
  return promise;
}

void EnvironmentTasks::Execute(Task* task, Task* companion) {
  try {
    if (companion != nullptr)
      task->ExecuteWith(*companion);
    else
      task->Execute();
    return;
  } catch (const std::exception& error) {
    task->failure_ = error.what();
  } catch (...) {
    task->failure_ = "unknown exception";
  }
  task->failed_ = true;
  if (companion == nullptr) return;
  companion->failure_ = task->failure_;
  companion->failed_ = true;
}

void EnvironmentTasks::Run(std::unique_ptr<Task> task, std::unique_ptr<Task> companion) {
  AdviseHeap();
  Execute(task.get(), companion.get());
  // The environment may be gone after the last one.
  if (companion != nullptr) Done(std::move(companion));
  Done(std::move(task));
}

void EnvironmentTasks::Done(std::unique_ptr<Task> task) {
  bool ring = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    done_.push_back(std::move(task));
    ring = !bell_rung_;
    bell_rung_ = true;
  }
  if (ring) napi_call_threadsafe_function(bell_, nullptr, napi_tsfn_nonblocking);
  // Last: after this the environment may be gone. Notified under the lock for the same reason.
  std::lock_guard<std::mutex> lock(mutex_);
  if (--running_ == 0) idle_.notify_all();
}

void EnvironmentTasks::OnBell(napi_env env, napi_value, void* context, void*) {
  // Without env the environment is being torn down, and nobody waits for results.
  if (env != nullptr) static_cast<EnvironmentTasks*>(context)->CompleteAll(env);
}

void EnvironmentTasks::CompleteAll(napi_env env) {
  AdviseHeap();
  std::deque<std::unique_ptr<Task>> done;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    done.swap(done_);
    bell_rung_ = false;
  }
  for (auto& task : done) {
    napi_handle_scope scope;
    if (napi_open_handle_scope(env, &scope) != napi_ok) return;
    Settle(env, task.get());
    task->Release(env);
    task.reset();
    napi_close_handle_scope(env, scope);
    if (--pending_ == 0) napi_unref_threadsafe_function(env, bell_);
  }
}

void EnvironmentTasks::Settle(napi_env env, Task* task) {
  napi_value value = nullptr;
  if (task->failed_) {
    napi_throw_error(env, nullptr, ("Cannot finish work: " + task->failure_).c_str());
  } else {
    value = task->Complete(env);
  }
  bool thrown = false;
  napi_is_exception_pending(env, &thrown);
  if (thrown) {
    napi_value error = nullptr;
    napi_get_and_clear_last_exception(env, &error);
    napi_reject_deferred(env, task->deferred_, error);
  } else {
    napi_resolve_deferred(env, task->deferred_, value != nullptr ? value : Undefined(env));
  }
}

void EnvironmentTasks::OnCleanup(void* data) {
  auto* self = static_cast<EnvironmentTasks*>(data);
  self->closed_ = true;
  for (Lane lane : kLanes) {
    for (auto& task : ThreadPool::Of(lane).Withdraw(self)) task->Release(self->env_);
  }
  // Tasks under way read memory that ends with this environment.
  std::unique_lock<std::mutex> lock(self->mutex_);
  self->idle_.wait(lock, [self] { return self->running_ == 0; });
  for (auto& task : self->done_) task->Release(self->env_);
  self->done_.clear();
}

bool AttachThreadPool(napi_env env) {
  auto* tasks = EnvironmentTasks::Create(env);
  if (tasks == nullptr) {
    napi_throw_error(env, nullptr, "Cannot attach the thread pool");
    return false;
  }
  auto destroy = [](napi_env, void* data, void*) { delete static_cast<EnvironmentTasks*>(data); };
  return napi_set_instance_data(env, tasks, destroy, nullptr) == napi_ok;
}

napi_value Submit(napi_env env, std::unique_ptr<Task> task, Lane lane) {
  AdviseHeap();
  void* tasks = nullptr;
  napi_get_instance_data(env, &tasks);
  return static_cast<EnvironmentTasks*>(tasks)->Enqueue(env, std::move(task), lane);
}

napi_value SubmitUnlessSmall(napi_env env, std::unique_ptr<Task> task, uint64_t bytes) {
  if (bytes > kSmallBytes) return Submit(env, std::move(task));
  void* tasks = nullptr;
  napi_get_instance_data(env, &tasks);
  return static_cast<EnvironmentTasks*>(tasks)->DoNow(env, std::move(task));
}

napi_value Abandon(napi_env env, std::unique_ptr<Task> task) {
  task->Release(env);
  return nullptr;
}

unsigned ComputeThreads() { return ThreadPool::Of(Lane::kCompute).size(); }

}  // namespace yore
