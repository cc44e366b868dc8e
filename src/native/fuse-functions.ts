/** Functions of native/src/fuse_channel.cc. */
export type FuseFunctions = object;
