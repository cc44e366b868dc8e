// Who the numbers of users and groups are; see src/native/account-functions.ts.

#include <grp.h>
#include <pwd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "addon.h"
#include "napi_helpers.h"

namespace yore {
namespace {

// Calls a getXxid_r function with as much room as it wants; "" when nobody has the number.
template <typename Record, typename Call>
std::string NameOf(Call call, char* Record::*name) {
  std::vector<char> room(1024);
  Record record;
  Record* found = nullptr;
  int problem;
  while ((problem = call(&record, room.data(), room.size(), &found)) == ERANGE && room.size() < (1u << 22))
    room.resize(room.size() * 4);
  return problem == 0 && found != nullptr ? std::string(found->*name) : std::string();
}

napi_value UserName(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  uint32_t uid;
  if (!GetUint32(env, arguments[0], "uid", &uid)) return nullptr;
  return MakeString(env, NameOf<passwd>(
                             [uid](passwd* record, char* room, size_t size, passwd** found) {
                               return getpwuid_r(uid, record, room, size, found);
                             },
                             &passwd::pw_name));
}

napi_value GroupName(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  uint32_t gid;
  if (!GetUint32(env, arguments[0], "gid", &gid)) return nullptr;
  return MakeString(env, NameOf<group>(
                             [gid](group* record, char* room, size_t size, group** found) {
                               return getgrgid_r(gid, record, room, size, found);
                             },
                             &group::gr_name));
}

}  // namespace

void RegisterAccounts(napi_env env, napi_value exports) {
  ExportFunction(env, exports, "userName", UserName);
  ExportFunction(env, exports, "groupName", GroupName);
}

}  // namespace yore
