/** The choices alone: who only reads flags need not load a repository for them. */
export { COMPRESSION_MODES, type CompressionMode } from "../repository/compression.js";
