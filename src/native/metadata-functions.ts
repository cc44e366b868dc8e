/** Functions of native/src/metadata.cc. */
export type MetadataFunctions = object;
