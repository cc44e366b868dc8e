/** Functions of native/src/engine.cc. */
export type EngineFunctions = object;
