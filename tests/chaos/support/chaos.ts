/**
 * One chaos run: real processes, terminals that keep a journal, faults by a seeded schedule; then everything is healed, the terminals are answered,
 * and journal, ledger, Redis and auditor are compared.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { randomFrom } from '../../../benchmarks/support/random.ts'
import { ACQUIRER } from '../../../src/cli/transactionMessage.ts'
import { systemClock } from '../../../src/clock.ts'
import { audit } from '../../../src/ledger/audit.ts'
import type { AuditCheck } from '../../../src/ledger/audit/check.ts'
import { acquirerPart } from '../../../src/transaction/identity.ts'
import { allFaults } from './faults.ts'
import { judge, type Finding } from './judge.ts'
import { openReservationKeys, readLedger } from './ledgerView.ts'
import { chaosReport, type ChaosReport } from './report.ts'
import { runSchedule, type FaultRecord, type ScheduleOptions } from './schedule.ts'
import { startStack, type Stack, type StackOptions } from './stack.ts'
import { Terminals } from './terminals.ts'

export interface ChaosOptions {
  readonly seed: number
  readonly switches: number
  readonly terminals: number
  readonly households: number
  readonly diskMegabytes: number
  /** The longest that a process stands still, that another fault lasts, and that it is calm between two. */
  readonly pauseMostMs: number
  readonly otherMostMs: number
  readonly calmMs: number
  /** Of 100 faults so many have company. */
  readonly companyPercent: number
  /** The longest pause of a terminal between two sales. */
  readonly thinkMs: number
  readonly goesOn: ScheduleOptions['goesOn']
  /** Which faults there are; absent: all. */
  readonly only?: ((kind: string, part: string) => boolean) | undefined
  /** The directory with logs and data stays. */
  readonly keep?: boolean
  readonly onStep?: (text: string) => void
  /** Given at once what ends everything that was started. */
  readonly onStart?: (stop: () => Promise<void>) => void
}

const POOR = 8
/** Load before the first fault and after the last. */
const CALM_APPROVALS = 100
const FINISH_MS = 60_000
const SWEPT_MS = 30_000
const POLL_MS = 50
const AUDIT_AGAIN_MS = 500
const HOLD_GRACE_MS = 60_000

/** @throws StartError */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { seed, switches, households, diskMegabytes, onStep = () => undefined } = options
  onStep(`starting Postgres, Redis and ${switches} switch processes`)
  const onStart: StackOptions['onStart'] = (stop) => options.onStart?.(() => stop({ keep: false }))
  const stack = await startStack({ switches, households, poor: POOR, diskMegabytes, onStart })
  let keep = options.keep === true
  try {
    const report = await disturb(stack, options, onStep)
    if (!report.ok && keep) onStep(`kept: ${stack.directory}`)
    keep &&= !report.ok
    onStep(`seed ${seed} has ended`)
    return report
  } finally {
    await stack.stop({ keep })
  }
}

async function disturb(stack: Stack, options: ChaosOptions, onStep: (text: string) => void): Promise<ChaosReport> {
  const { seed, switches, households, thinkMs, pauseMostMs, otherMostMs, calmMs, companyPercent, goesOn, only } = options
  const { nodes, poor, databaseUrl, redis } = stack
  const prefix = `${acquirerPart(ACQUIRER, '')}|`
  const { purses: opening } = await readLedger(databaseUrl, prefix)
  const ports = nodes.map(({ links }) => links.terminals.port)
  const random = randomFrom(seed)
  const terminals = new Terminals({
    ports,
    terminals: options.terminals,
    households,
    poor,
    thinkMs,
    random: randomFrom(seed + 1),
  })
  const startedMs = Date.now()
  terminals.start()
  try {
    await moreApprovals(terminals)
    await redis.keepFile()
    const faults = allFaults({ stack, terminals, random, pauseMostMs, otherMostMs })
    const records = await runSchedule({
      faults: faults.filter(({ kind, part }) => only?.(kind, part) ?? true),
      terminals,
      random,
      goesOn,
      calmMs,
      companyPercent,
      onFault: (record) => onStep(textOf(record, terminals.approvals)),
    })
    if (records.every(({ recoveredMs }) => recoveredMs !== undefined)) await moreApprovals(terminals)
    onStep('the last answers')
    await terminals.finish(FINISH_MS)
    const { all: journal } = terminals.journal
    const reservations = await swept(redis.url)
    const ledger = await readLedger(databaseUrl, prefix)
    onStep(`comparing ${journal.length} messages and ${ledger.decisions.length} decisions`)
    const findings = [
      ...judge({ journal, ledger, opening }),
      ...reservations.map((key) => finding('reservations left', key, 'reserved in Redis')),
      ...(await auditFindings(stack)),
      ...nodes.flatMap(({ process }, host) =>
        process.crashesMs.map((atMs) => ({
          ...finding('switches that ended by themselves', `switch ${host}`, ''),
          fromMs: atMs,
        })),
      ),
      ...records
        .filter(({ recoveredMs }) => recoveredMs === undefined)
        .map(({ kind, part, healedMs }) => ({
          ...finding('faults not recovered from', `${kind} (${part})`, ''),
          fromMs: healedMs,
        })),
    ]
    return chaosReport({
      seed,
      seconds: Math.round((Date.now() - startedMs) / 1000),
      switches,
      terminals: options.terminals,
      journal,
      records,
      leftOut: stack.disk === undefined ? ['full disk: left out, a small disk cannot be mounted here'] : [],
      findings,
    })
  } finally {
    terminals.close()
  }
}

async function moreApprovals(terminals: Terminals): Promise<void> {
  const target = terminals.approvals + CALM_APPROVALS
  while (terminals.approvals < target) await sleep(POLL_MS)
}

/** Keys that stay reserved, however long the sweepers are waited for. */
async function swept(redisUrl: string): Promise<string[]> {
  const untilMs = Date.now() + SWEPT_MS
  for (;;) {
    const keys = await openReservationKeys(redisUrl)
    if (keys.length === 0 || Date.now() > untilMs) return keys
    await sleep(POLL_MS)
  }
}

/**
 * The comparison with Redis counts: where it was left out, nothing was proved. A switch that has just started is still filling it, and tells it
 * what the one before it could not.
 */
async function auditFindings({ databaseUrl, redis, config }: Stack): Promise<Finding[]> {
  const { reservationAgeMs } = config.sweeper
  const options = {
    ...{ databaseUrl, redisUrl: redis.url, programme: config.programme },
    ...{ holdGraceMs: HOLD_GRACE_MS, reservationAgeMs, clock: systemClock },
  }
  const untilMs = Date.now() + SWEPT_MS
  let { checks } = await audit(options)
  while (!checks.every(isProved) && Date.now() < untilMs) {
    await sleep(AUDIT_AGAIN_MS)
    checks = (await audit(options)).checks
  }
  return checks
    .filter((check) => !isProved(check))
    .map(({ name, failures, skipped, examples }) =>
      finding('audit checks failed', name, skipped ?? `${failures} wrong: ${JSON.stringify(examples)}`),
    )
}

function isProved({ ok, skipped }: AuditCheck): boolean {
  return ok && skipped === undefined
}

function finding(crime: Finding['crime'], of: string, ledgerHolds: string): Finding {
  return { crime, of, terminalSaw: '', ledgerHolds }
}

function textOf({ kind, part, fromMs, healedMs, recoveredMs }: FaultRecord, approvals: number): string {
  const recovery =
    recoveredMs === undefined ? 'NOT RECOVERED' : `answered ${((recoveredMs - healedMs) / 1000).toFixed(1)} s after it`
  return `${kind} (${part}) for ${((healedMs - fromMs) / 1000).toFixed(1)} s, ${recovery}; ${approvals} approvals so far`
}
