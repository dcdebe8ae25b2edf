/** The report of a chaos run: as data, and as a table for people. */
import type { Answer, Sent } from './journal.ts'
import { isApproval } from './journal.ts'
import { CRIMES, type Crime, type Finding } from './judge.ts'
import type { FaultRecord } from './schedule.ts'

export interface ChaosReport {
  readonly ok: boolean
  readonly seed: number
  readonly seconds: number
  readonly switches: number
  readonly terminals: number
  readonly counts: Readonly<Record<Count, number>>
  /** By response code. */
  readonly declines: Readonly<Record<string, number>>
  readonly faults: readonly FaultKind[]
  /** Why faults were left out. */
  readonly leftOut: readonly string[]
  /** All of them should be 0. */
  readonly crimes: Readonly<Record<Crime, number>>
  readonly findings: readonly FindingText[]
}

type Count = 'messages' | 'approvals' | 'declines' | 'silent' | 'repeats' | 'reversals' | 'abandoned'

interface FaultKind {
  readonly kind: string
  readonly count: number
  readonly recoveryMedianMs: number | undefined
  readonly recoveryMaxMs: number | undefined
}

interface FindingText {
  readonly crime: Crime
  readonly of: string
  readonly terminalSaw: string
  readonly ledgerHolds: string
  readonly faultsThen: readonly string[]
}

export interface ReportOptions {
  readonly seed: number
  readonly seconds: number
  readonly switches: number
  readonly terminals: number
  readonly journal: readonly Sent[]
  readonly records: readonly FaultRecord[]
  readonly leftOut: readonly string[]
  readonly findings: readonly Finding[]
}

export function chaosReport(options: ReportOptions): ChaosReport {
  const { journal, records, findings, seed, seconds, switches, terminals, leftOut } = options
  const told = journal.flatMap((sent) => (sent.told === undefined ? [] : [sent.told]))
  const declined = told.filter(({ responseCode }) => !isApproval(responseCode))
  const crimes = Object.fromEntries(CRIMES.map((crime) => [crime, 0])) as Record<Crime, number>
  for (const { crime } of findings) crimes[crime]++
  return {
    ok: findings.length === 0,
    seed,
    seconds,
    switches,
    terminals,
    counts: {
      messages: journal.length,
      approvals: told.length - declined.length,
      declines: declined.length,
      silent: journal.reduce((sum, { sendings, answers }) => sum + Math.max(0, sendings.length - answers.length), 0),
      repeats: journal.reduce((sum, { sendings }) => sum + Math.max(0, sendings.length - 1), 0),
      reversals: journal.filter(({ kind }) => kind === 'reversal').length,
      abandoned: journal.filter(({ abandoned }) => abandoned).length,
    },
    declines: byCode(declined),
    faults: kindsOf(records),
    leftOut,
    crimes,
    findings: findings.map(({ crime, of, terminalSaw, ledgerHolds, fromMs, untilMs }) => ({
      crime,
      of,
      terminalSaw,
      ledgerHolds,
      faultsThen: fromMs === undefined ? [] : faultsBetween(records, fromMs, untilMs ?? fromMs),
    })),
  }
}

function byCode(answers: readonly Answer[]): Record<string, number> {
  const counts = new Map<string, number>()
  for (const { responseCode } of answers) counts.set(responseCode, (counts.get(responseCode) ?? 0) + 1)
  return Object.fromEntries([...counts].sort(([a], [b]) => a.localeCompare(b)))
}

function kindsOf(records: readonly FaultRecord[]): FaultKind[] {
  return [...Map.groupBy(records, ({ kind }) => kind)]
    .map(([kind, ofKind]) => {
      const recoveries = ofKind
        .flatMap(({ healedMs, recoveredMs }) => (recoveredMs === undefined ? [] : [recoveredMs - healedMs]))
        .sort((a, b) => a - b)
      return { kind, count: ofKind.length, recoveryMedianMs: recoveries[recoveries.length >> 1], recoveryMaxMs: recoveries.at(-1) }
    })
    .sort((a, b) => a.kind.localeCompare(b.kind))
}

function faultsBetween(records: readonly FaultRecord[], fromMs: number, untilMs: number): string[] {
  return records
    .filter((record) => record.fromMs <= untilMs && (record.recoveredMs ?? Infinity) >= fromMs)
    .map(({ kind, part, fromMs: from, healedMs }) => `${kind} (${part}) ${timeOf(from)} to ${timeOf(healedMs)}`)
}

function timeOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(11, 23)
}

const FINDINGS_SHOWN = 20

export function reportText(report: ChaosReport): string {
  const { counts, declines, faults, leftOut, crimes, findings, seed, seconds, switches, terminals } = report
  const codes = Object.entries(declines).map(([code, count]) => `${number(count)} of ${code}`)
  const lines = [
    `chaos: ${number(seconds)} s, seed ${seed}, ${switches} switch processes, ${terminals} terminals`,
    '',
    '| messages | approvals | declines | silent | repeats | reversals | terminals that broke while they waited |',
    '|---|---|---|---|---|---|---|',
    `| ${Object.values(counts).map(number).join(' | ')} |`,
    '',
    `Declines: ${codes.join(', ') || 'none'}.`,
    '',
    '| fault | times | approvals flowed again after, median | at most |',
    '|---|---|---|---|',
    ...faults.map(
      ({ kind, count, recoveryMedianMs, recoveryMaxMs }) => `| ${kind} | ${count} | ${ms(recoveryMedianMs)} | ${ms(recoveryMaxMs)} |`,
    ),
    ...leftOut.map((why) => `| ${why} | 0 | | |`),
    '',
    ...Object.entries(crimes).map(([crime, count]) => `${String(count).padStart(6)} ${crime}`),
  ]
  for (const { crime, of, terminalSaw, ledgerHolds, faultsThen } of findings.slice(0, FINDINGS_SHOWN)) {
    lines.push('', `${crime}: ${of}`, `  terminal: ${terminalSaw}`, `  ledger:   ${ledgerHolds}`)
    lines.push(...faultsThen.map((fault) => `  fault:    ${fault}`))
  }
  if (findings.length > FINDINGS_SHOWN) lines.push('', `and ${findings.length - FINDINGS_SHOWN} more`)
  return lines.join('\n') + '\n'
}

function number(value: number): string {
  return value.toLocaleString('en-US')
}

function ms(value: number | undefined): string {
  return value === undefined ? 'never' : `${(value / 1000).toFixed(1)} s`
}
