/** What opens a key: any bytes, or a text that stands for its UTF-8. */
export type Password = string | Uint8Array;

export function passwordBytes(password: Password): Uint8Array {
  return typeof password === "string" ? Buffer.from(password, "utf8") : password;
}
