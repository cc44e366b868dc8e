import type { Command } from "commander";
import { runVersion } from "../../commands/version.js";
import { action } from "../command-context.js";
import type { Io } from "../output.js";

export function registerVersion(program: Command, io: Io): void {
  program
    .command("version")
    .description("print the version of yore and of what it runs on")
    .action(
      action(io, async (context) => {
        const version = await runVersion();
        if (context.global.json) {
          context.json({
            message_type: "version",
            version: version.yore,
            node_version: version.node,
            engine: version.engine,
            os: version.platform,
            arch: version.architecture,
          });
          return;
        }
        const { yore, node, engine, platform, architecture } = version;
        io.stdout.line(`yore ${yore} on Node.js ${node}, ${engine} engine, ${platform}/${architecture}`);
      }),
    );
}
