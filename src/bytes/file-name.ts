/** NAME_MAX: file systems take no longer names, in bytes, and no directory of Linux shows longer ones. */
export const MAX_NAME_BYTES = 255;
