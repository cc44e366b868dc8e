/**
 * Moments and their text in Go's RFC3339Nano, with the year clamped as restic does it; zone offsets in minutes. Those far
 * out and the one in a zone with seconds were seen in trees of restic 0.19.1, made of files on tmpfs, which keeps any
 * 64-bit second.
 */
export const TIME_VECTORS: readonly {
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly zoneMinutes: number;
  readonly text: string;
  /** False where the text stands for another moment: the year was clamped, or the zone had seconds. */
  readonly exact: boolean;
}[] = [
  { seconds: 0, nanoseconds: 0, zoneMinutes: 0, text: "1970-01-01T00:00:00Z", exact: true },
  { seconds: 0, nanoseconds: 1, zoneMinutes: 60, text: "1970-01-01T01:00:00.000000001+01:00", exact: true },
  { seconds: -1, nanoseconds: 500_000_000, zoneMinutes: 0, text: "1969-12-31T23:59:59.5Z", exact: true },
  {
    seconds: 1_700_000_000,
    nanoseconds: 70_000_000,
    zoneMinutes: 330,
    text: "2023-11-15T03:43:20.07+05:30",
    exact: true,
  },
  {
    seconds: 1_700_000_000,
    nanoseconds: 0,
    zoneMinutes: -210,
    text: "2023-11-14T18:43:20-03:30",
    exact: true,
  },
  { seconds: -62_135_596_800, nanoseconds: 0, zoneMinutes: 0, text: "0001-01-01T00:00:00Z", exact: true },
  { seconds: -62_167_219_200, nanoseconds: 0, zoneMinutes: 0, text: "0000-01-01T00:00:00Z", exact: true },
  { seconds: -62_167_219_201, nanoseconds: 0, zoneMinutes: 0, text: "0000-12-31T23:59:59Z", exact: false },
  { seconds: 253_402_300_799, nanoseconds: 0, zoneMinutes: 0, text: "9999-12-31T23:59:59Z", exact: true },
  { seconds: 253_402_300_800, nanoseconds: 0, zoneMinutes: 0, text: "9999-01-01T00:00:00Z", exact: false },
  // Local mean time of Amsterdam was 19 minutes and 32 seconds ahead.
  {
    seconds: -1_146_319_600,
    nanoseconds: 123,
    zoneMinutes: 79 + 32 / 60,
    text: "1933-09-04T11:12:52.000000123+01:19",
    exact: false,
  },
];
