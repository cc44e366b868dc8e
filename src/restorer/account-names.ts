import { readFile } from "node:fs/promises";

/** Numbers of the users and groups of this machine, by name. */
export interface AccountNames {
  readonly users: ReadonlyMap<string, number>;
  readonly groups: ReadonlyMap<string, number>;
}

/** Reads /etc/passwd and /etc/group; names that a directory service alone knows are not among them. */
export async function readAccountNames(): Promise<AccountNames> {
  const [users, groups] = await Promise.all([readNames("/etc/passwd"), readNames("/etc/group")]);
  return { users, groups };
}

/** Both files have the name in the first field and the number in the third; the first line of a name counts. */
async function readNames(path: string): Promise<Map<string, number>> {
  const names = new Map<string, number>();
  const text = await readFile(path, "utf8").catch(() => "");
  for (const line of text.split("\n")) {
    const [name, , number] = line.split(":");
    if (name && number && /^\d+$/.test(number) && !names.has(name)) names.set(name, Number(number));
  }
  return names;
}
