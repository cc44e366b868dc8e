/** Prints one plain line about a finished test run, "N passed, N failed, N skipped", and fails if no test ran. */
import { readFileSync } from "node:fs";

interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numFailedTestSuites: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: { name: string; status: string; assertionResults: { status: string; fullName: string }[] }[];
}

const report = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as Report;
const skipped = report.numPendingTests + report.numTodoTests;
for (const file of report.testResults) {
  for (const test of file.assertionResults) {
    if (test.status === "pending" || test.status === "skipped") console.log(`skipped: ${test.fullName}`);
  }
}
const failed = report.numFailedTests;
console.log(`${report.numPassedTests} passed, ${failed} failed, ${skipped} skipped`);
if (report.numPassedTests === 0) process.exit(1);
if (process.env["CI"] === "true" && skipped > 0) {
  console.error("CI runs every test: a skipped one is a failure");
  process.exit(1);
}
