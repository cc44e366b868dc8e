import type { Command } from "commander";
import { action } from "../command-context.js";
import { FEATURE_FLAGS } from "../feature-flags.js";
import type { Io } from "../output.js";
import { renderTable } from "../table.js";

const COLUMNS = [{ header: "Name" }, { header: "Type" }, { header: "Default" }, { header: "Description" }];

export function registerFeatures(program: Command, io: Io): void {
  program
    .command("features")
    .description(
      "print the feature flags\n\n$YORE_FEATURES and $RESTIC_FEATURES set them: featureA=true,featureB=false. A stable feature is always on.",
    )
    .action(
      action(io, async (context) => {
        const features = FEATURE_FLAGS.map((flag) => ({ ...flag, enabled: flag.state === "stable" }));
        if (context.global.json) {
          for (const { state, ...feature } of features)
            context.json({ message_type: "feature", ...feature, type: state });
          return undefined;
        }
        io.stdout.line("All Feature Flags:");
        const rows = features.map(({ name, state, enabled, description }) => [
          name,
          state,
          String(enabled),
          description,
        ]);
        for (const line of renderTable(COLUMNS, rows)) io.stdout.line(line);
        return undefined;
      }),
    );
}
