/** Functions of native/src/accounts.cc. Both block for as long as the system's databases of users and groups take. */
export interface AccountFunctions {
  /** "" when the system knows none. */
  userName(uid: number): string;
  /** "" when the system knows none. */
  groupName(gid: number): string;
}
