import { expect, it } from 'vitest'
import { Measurement } from '../../../benchmarks/support/measurement.ts'
import { comparisonOf, reportOf, type BenchReport } from '../../../benchmarks/support/report.ts'

const OPTIONS = { connections: 2, inFlight: 3, rate: undefined, workers: 2, target: undefined } as const

it('a message belongs to the measured time by when it was due, an answer by when it came', () => {
  const measurement = new Measurement(1000, 3000)
  for (const dueMs of [999, 1000, 2999, 3000]) measurement.due(dueMs)
  measurement.answered(999, 1500, '00')
  measurement.answered(1000, 1010, '51')
  measurement.answered(2999, 3500, '00')
  const report = reportOf(OPTIONS, { mix: 'purchase', security: undefined }, measurement, undefined)
  expect(report).toMatchObject({ sent: 2, approved: 1, declined: 1, errors: 0, tps: 1, approvedTps: 0.5 })
  expect(report.responseCodes).toEqual({ '00': 1, '51': 1 })
  expect(report.latencyMs.max).toBeCloseTo(501, 0)
})

it('what was never answered is an error and counts with the time that was waited', () => {
  const measurement = new Measurement(0, 1000)
  measurement.due(100)
  measurement.lost(100, 9100)
  const report = reportOf(OPTIONS, { mix: 'purchase', security: undefined }, measurement, undefined)
  expect(report).toMatchObject({ sent: 1, approved: 0, declined: 0, errors: 1 })
  expect(report.latencyMs.p50).toBeGreaterThanOrEqual(9000)
})

it('the report has the keys that were promised and no others', () => {
  const report = reportOf(OPTIONS, { mix: 'purchase', security: undefined }, new Measurement(0, 1000), {
    approvedNotInLedger: 0,
    inLedgerNotApproved: 0,
    unanswered: 4,
  })
  expect(Object.keys(report)).toEqual(
    'mix seconds connections inFlight workers rate sent approved declined errors tps approvedTps latencyMs responseCodes verified'.split(
      ' ',
    ),
  )
  expect(report).toMatchObject({ rate: null, latencyMs: { p50: 0, p90: 0, p99: 0, p999: 0, max: 0 } })
  expect(report.verified).toEqual({ approvedNotInLedger: 0, inLedgerNotApproved: 0 })
})

it('a repeat is a message like any other, but approves nothing new; another answer than the first is an error', () => {
  const measurement = new Measurement(0, 1000)
  for (const dueMs of [1, 2, 3]) measurement.due(dueMs)
  measurement.answered(1, 10, '00')
  measurement.repeatAnswered(2, 20, '00', true)
  measurement.repeatAnswered(3, 30, '51', false)
  expect(measurement).toMatchObject({
    answersInTime: 3,
    approvalsInTime: 1,
    approved: 2,
    declined: 1,
    errors: 1,
    repeatsDifferent: 1,
  })
})

it('a comparison relates the mean rates of each mix to those of the first', () => {
  const run = (mix: string, tps: number, approvedTps: number): BenchReport => ({
    ...reportOf(OPTIONS, { mix, security: undefined }, new Measurement(0, 1000), undefined),
    tps,
    approvedTps,
  })
  const runs = [run('purchase', 90, 90), run('national', 80, 70), run('national', 100, 80), run('purchase', 110, 110)]
  expect(comparisonOf(runs)).toEqual({ runs, ratios: { national: { tps: 0.9, approvedTps: 0.75 } } })
})

it('where security was asked for the report says which, and runs are compared by both', () => {
  const run = (security: 'none' | 'full', tps: number): BenchReport => ({
    ...reportOf(OPTIONS, { mix: 'purchase', security }, new Measurement(0, 1000), undefined),
    tps,
  })
  const { runs, ratios } = comparisonOf([run('none', 100), run('full', 75)])
  expect(runs.map(({ security }) => security)).toEqual(['none', 'full'])
  expect(ratios).toEqual({ 'purchase with security full': { tps: 0.75, approvedTps: 0 } })
})

it('a measured time that ends early ends the rates with it', () => {
  const measurement = new Measurement(1000, 3000)
  measurement.answered(1000, 1400, '00')
  measurement.endAt(1500)
  measurement.due(1500)
  expect([measurement.seconds, measurement.sent, measurement.answersInTime]).toEqual([0.5, 0, 1])
})
