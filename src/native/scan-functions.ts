/** Functions of native/src/scan.cc. */
export type ScanFunctions = object;
