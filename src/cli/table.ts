import { textWidth } from "./text-width.js";

export interface Column {
  readonly header: string;
  readonly align?: "left" | "right";
}

/** A cell may have several lines. */
export type Row = readonly string[];

/**
 * A table as restic draws it: a line of headers, a rule, the rows, a rule and the footer. Columns are as wide as their
 * widest line, in columns of a terminal, and two spaces apart; nothing is left at the end of a line. A `spaced` table
 * has an empty line between rows.
 */
export function renderTable(
  columns: readonly Column[],
  rows: readonly Row[],
  options: { readonly footer?: readonly string[]; readonly spaced?: boolean } = {},
): string[] {
  const { footer = [], spaced = false } = options;
  const widths = columns.map((column, i) =>
    rows.reduce((width, row) => Math.max(width, widthOfCell(row[i] ?? "")), textWidth(column.header)),
  );
  const body = rows.flatMap((row, i) => [
    ...(spaced && i > 0 ? [""] : []),
    ...renderRow(columns, widths, row),
  ]);
  const header = renderRow(
    columns,
    widths,
    columns.map((column) => column.header),
  );
  const rule = "-".repeat(
    Math.max(
      widths.reduce((sum, width) => sum + width + 2, -2),
      ...footer.map(textWidth),
    ),
  );
  return [...header, rule, ...body, rule, ...footer];
}

function widthOfCell(cell: string): number {
  return cell.split("\n").reduce((width, line) => Math.max(width, textWidth(line)), 0);
}

function renderRow(columns: readonly Column[], widths: readonly number[], row: Row): string[] {
  const cells = row.map((cell) => cell.split("\n"));
  const height = cells.reduce((most, lines) => Math.max(most, lines.length), 1);
  return Array.from({ length: height }, (_, line) =>
    columns
      .map((column, i) => pad(cells[i]?.[line] ?? "", widths[i]!, column.align))
      .join("  ")
      .trimEnd(),
  );
}

function pad(text: string, width: number, align: Column["align"]): string {
  const space = " ".repeat(Math.max(0, width - textWidth(text)));
  return align === "right" ? space + text : text + space;
}
