import { describe, expect, it } from 'vitest'
import { summarise, type VitestReport } from './summary.ts'

const report = (counts: Partial<VitestReport>): VitestReport => ({
  numPassedTests: 0,
  numFailedTests: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  testResults: [],
  ...counts,
})

describe('the closing line of a test run', () => {
  it('counts what passed and what failed', () => {
    expect(summarise(report({ numPassedTests: 12, numFailedTests: 2 }), 1)).toEqual({
      line: '12 passed, 2 failed',
      passed: false,
    })
    expect(summarise(report({ numPassedTests: 12 }), 0)).toEqual({ line: '12 passed, 0 failed', passed: true })
  })

  it('names skipped tests only where there are some', () => {
    expect(summarise(report({ numPassedTests: 1, numPendingTests: 1, numTodoTests: 2 }), 0).line).toBe(
      '1 passed, 0 failed, 3 skipped',
    )
  })

  it('counts a file that could not be loaded as a failure', () => {
    const broken = { status: 'failed', assertionResults: [] }
    expect(summarise(report({ numPassedTests: 3, testResults: [broken] }), 1).line).toBe('3 passed, 1 failed')
  })

  it('fails when vitest failed although every test passed, when no test ran and when there is no report', () => {
    expect(summarise(report({ numPassedTests: 3 }), 1)).toEqual({ line: '3 passed, 1 failed', passed: false })
    expect(summarise(report({}), 0)).toEqual({ line: '0 passed, 1 failed', passed: false })
    expect(summarise(undefined, 1)).toEqual({ line: '0 passed, 1 failed', passed: false })
  })
})
