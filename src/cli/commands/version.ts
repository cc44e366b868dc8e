import type { Command } from "commander";
import { runVersion } from "../../commands/version.js";
import { action } from "../command-context.js";
import type { Io } from "../output.js";

export function registerVersion(program: Command, io: Io): void {
  program
    .command("version")
    .description("print the version of yore, of the restic that it speaks, and of what it runs on")
    .action(
      action(io, async (context) => {
        const version = await runVersion();
        const { yore, restic, node, engine, platform, architecture } = version;
        // Who put a link named `restic` in its place has programs that ask restic for its version, and read it at the front.
        const isRestic = io.calledAs === "restic";
        if (context.global.json) {
          context.json({
            message_type: "version",
            version: isRestic ? restic : yore,
            yore_version: yore,
            restic_version: restic,
            node_version: node,
            engine,
            os: platform,
            arch: architecture,
          });
          return;
        }
        const names = isRestic
          ? `restic ${restic} spoken by yore ${yore}`
          : `yore ${yore} speaks restic ${restic}`;
        io.stdout.line(`${names} on Node.js ${node}, ${engine} engine, ${platform}/${architecture}`);
      }),
    );
}
