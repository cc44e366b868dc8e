/**
 * A moment as restic writes it: RFC 3339 with up to nine decimals and the zone it was taken in. Whole seconds are a
 * plain number, exact for every year from 0 to 9999; nanoseconds stand apart, so nothing is ever rounded.
 */
export interface Timestamp {
  /** Seconds since 1970-01-01T00:00:00Z; negative before. */
  readonly seconds: number;
  /** 0 to 999,999,999, always counted forward from `seconds`. */
  readonly nanoseconds: number;
  /** Minutes east of UTC; only how the moment is written, never which moment it is. */
  readonly zoneMinutes: number;
}
