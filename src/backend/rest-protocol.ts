/** What a client and a server of restic's REST protocol must agree on beyond paths and status codes. */

/** Media types of listings: names alone, and names with sizes. */
export const LISTING_V1 = "application/vnd.x.restic.rest.v1";
export const LISTING_V2 = "application/vnd.x.restic.rest.v2";

/**
 * With `at-once`, a header of listings by `yore serve`: whatever was acknowledged before a listing began is in it, whoever
 * lists. Other clients pass over it.
 */
export const LISTINGS_HEADER = "yore-listings";
export const AT_ONCE = "at-once";
