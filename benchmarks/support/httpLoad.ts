/** Drives one route with autocannon, keeps a journal of what was asked and answered, and compares it with the ledger. */
import autocannon, { type Request } from 'autocannon'
import { build, type Histogram } from 'hdr-histogram-js'
import { readApprovals } from '../../src/ledger/verifyApprovals.ts'
import { demoTerminals, FIRST_PLAIN_HOUSEHOLD } from '../../src/programme/demo.ts'
import { purseIdOfHousehold } from '../../src/programme/seed.ts'
import type { HttpRoute, Purchase } from './httpRoutes.ts'

export interface HttpLoadOptions {
  readonly url: string
  readonly connections: number
  readonly pipelining: number
  readonly seconds: number
  readonly households: number
}

/** By the ledger's key. */
export type Journal = Map<string, { readonly purchase: Purchase; responseCode: string | undefined }>

export interface RouteFigures {
  readonly route: string
  readonly seconds: number
  readonly connections: number
  /** Answered or failed; what was in flight at the end is not counted. */
  readonly sent: number
  readonly approved: number
  readonly declined: number
  readonly errors: number
  readonly tps: number
  readonly approvedTps: number
  readonly latencyMs: Readonly<Record<'p50' | 'p90' | 'p99' | 'p999' | 'max', number>>
  readonly responseCodes: Readonly<Record<string, number>>
}

export interface Verification {
  readonly approvedNotInLedger: number
  readonly inLedgerNotApproved: number
  /** Approvals in the ledger whose answer never came: in flight when the time was over. */
  readonly unanswered: number
}

const AMOUNT_MAX = 5000
const PURCHASE_TERMINALS = demoTerminals()
  .filter((terminal) => terminal.class === 'pos' && terminal.state === 'ACTIVE')
  .map((terminal) => terminal.terminalId)
const APPROVALS: readonly string[] = ['00', '10']

export async function driveRoute(route: HttpRoute, options: HttpLoadOptions, journal: Journal): Promise<RouteFigures> {
  const latency = build({ lowestDiscernibleValue: 1, highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: 3 })
  const codes = new Map<string, number>()
  let failures = 0
  const request: Request = {
    method: 'POST',
    path: route.path,
    setupRequest: (defaults) => ({ ...defaults, ...nextRequest(route, options.households, journal) }),
    onResponse(status, body) {
      const answer = status === 200 ? route.answer(body) : undefined
      const entry = answer === undefined ? undefined : journal.get(answer.key)
      if (answer === undefined || entry === undefined) {
        failures++
      } else {
        entry.responseCode = answer.responseCode
        codes.set(answer.responseCode, (codes.get(answer.responseCode) ?? 0) + 1)
      }
    },
  }
  const { url, connections, pipelining, seconds } = options
  const finished = Promise.withResolvers<autocannon.Result>()
  const startedMs = performance.now()
  const instance = autocannon({ url, connections, pipelining, duration: seconds, requests: [request] }, (error, result) => {
    if (error instanceof Error) finished.reject(error)
    else finished.resolve(result)
  })
  instance.on('response', (_client, _status, _bytes, responseTimeMs: number) => {
    latency.recordValue(Math.round(responseTimeMs * 1000))
  })
  const result = await finished.promise
  const elapsed = (performance.now() - startedMs) / 1000
  // A connection that broke or a request that was not answered in time; `failures` are answers that are no decision.
  return figuresOf(route, options, { latency, codes, errors: failures + result.errors, elapsed })
}

let purchases = 0

function nextRequest(route: HttpRoute, households: number, journal: Journal): Request {
  const number = purchases++
  const purchase = {
    number,
    household: FIRST_PLAIN_HOUSEHOLD + Math.floor(Math.random() * (households - FIRST_PLAIN_HOUSEHOLD)),
    terminalId: PURCHASE_TERMINALS[number % PURCHASE_TERMINALS.length] ?? '',
    amount: 1 + Math.floor(Math.random() * AMOUNT_MAX),
    madeMs: Date.now(),
  }
  const { key, body, headers } = route.request(purchase)
  journal.set(key, { purchase, responseCode: undefined })
  return { body, headers }
}

interface Measured {
  readonly latency: Histogram
  readonly codes: ReadonlyMap<string, number>
  readonly errors: number
  readonly elapsed: number
}

function figuresOf(route: HttpRoute, options: HttpLoadOptions, { latency, codes, errors, elapsed }: Measured): RouteFigures {
  const answers = [...codes.values()].reduce((sum, count) => sum + count, 0)
  const approved = APPROVALS.reduce((sum, code) => sum + (codes.get(code) ?? 0), 0)
  const percentile = (value: number): number => (answers === 0 ? 0 : rounded(latency.getValueAtPercentile(value) / 1000))
  return {
    route: route.name,
    seconds: rounded(elapsed),
    connections: options.connections,
    sent: answers + errors,
    approved,
    declined: answers - approved,
    errors,
    tps: rounded(answers / elapsed),
    approvedTps: rounded(approved / elapsed),
    latencyMs: {
      p50: percentile(50),
      p90: percentile(90),
      p99: percentile(99),
      p999: percentile(99.9),
      max: rounded(latency.maxValue / 1000),
    },
    responseCodes: Object.fromEntries([...codes].sort(([a], [b]) => (a < b ? -1 : 1))),
  }
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100
}

/** @param startedMs when the first request was made */
export async function verifyJournal(databaseUrl: string, journal: Journal, startedMs: number): Promise<Verification> {
  const started = new Date(startedMs).toISOString()
  const found = new Set<string>()
  let inLedgerNotApproved = 0
  let unanswered = 0
  await readApprovals(databaseUrl, {
    terminalIds: PURCHASE_TERMINALS,
    from: { keyDate: started.slice(0, 10), time: started.replace(/\D/g, '').slice(4, 14) },
    onApproval: (approval) => {
      const entry = journal.get(approval.key)
      const { responseCode, purchase } = entry ?? {}
      if (entry !== undefined && responseCode === undefined) {
        unanswered++
      } else if (purchase === undefined || responseCode !== approval.responseCode || found.has(approval.key)) {
        inLedgerNotApproved++
      } else if (
        approval.purseId === purseIdOfHousehold(purchase.household) &&
        approval.approved === purchase.amount &&
        approval.transferred === purchase.amount
      ) {
        found.add(approval.key)
      }
    },
  })
  const approvedNotInLedger = [...journal].filter(
    ([key, { responseCode }]) => responseCode !== undefined && APPROVALS.includes(responseCode) && !found.has(key),
  ).length
  return { approvedNotInLedger, inLedgerNotApproved, unanswered }
}
