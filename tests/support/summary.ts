/** The closing line of a test run, from vitest's JSON report. */

export interface VitestReport {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly { readonly status: string }[] }[]
}

/**
 * A file that could not be loaded, or whose set-up failed, counts as one failed test: its tests are in no other count. So does
 * whatever made vitest itself fail (an unhandled rejection, a crash, no test found).
 */
export function summarise(report: VitestReport | undefined, exitCode: number): { line: string; passed: boolean } {
  const brokenFiles = (report?.testResults ?? []).filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  )
  const passed = report?.numPassedTests ?? 0
  const counted = (report?.numFailedTests ?? 0) + brokenFiles.length
  const failed = counted === 0 && (exitCode !== 0 || passed === 0) ? 1 : counted
  const skipped = (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0)
  const line = `${String(passed)} passed, ${String(failed)} failed` + (skipped > 0 ? `, ${String(skipped)} skipped` : '')
  return { line, passed: failed === 0 }
}
