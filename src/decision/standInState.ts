/**
 * What stand-in keeps in Redis, so that every process sees it: what was answered, caps, what was stopped. The shard is in stand-in while one of its journals
 * holds what the ledger does not have. All of it is void in another epoch; each script says what it does at its head.
 */
import { countedPinName, type CountedPin } from './countedPins.ts'
import { dayNumber, HotStateUnavailable, type HotState } from './hotState.ts'
import { redisScript } from './redisLink.ts'
import { STAND_IN_FLAG, STAND_IN_KEYS } from './standInKeys.ts'

const DECIDE = redisScript('standIn.lua')
const READ = redisScript('standInRead.lua')
const JOURNALS = redisScript('standInJournals.lua')
const STOP = redisScript('standInStop.lua')
const COUNTED_PINS = redisScript('countedPins.lua')

/** What a decision is to be told and remembered by. */
export interface StandInItem {
  readonly key: string
  readonly keyDate: string
  readonly body: string
  readonly token: string
  /** Transaction counter of a right cryptogram. */
  readonly counter: number | undefined
  /** What the answer tells of a PIN, wrong ones before it that the ledger has counted, how many block it, and the version of the card that says so. */
  readonly pin:
    | { readonly told: 'right' | 'wrong'; readonly tries: number; readonly triesMax: number; readonly cardVersion: number }
    | undefined
  /** Undefined: it is declined. */
  readonly approves: StandInApproval | undefined
  /** The text that is remembered. */
  readonly record: string
}

export interface StandInApproval {
  readonly purseId: number
  readonly gate: number | null
  readonly debit: number
  readonly setMarks: number
  /** Cairo day, and what of its ceiling is used. */
  readonly cap: { readonly day: string; readonly amount: number; readonly max: number }
}

export type StandInOutcome =
  /** `record`: this key was answered before. */
  { readonly kind: 'known'; readonly record: string } | { readonly kind: (typeof OUTCOMES)[number] }

const OUTCOMES = [
  'remembered',
  'stopped',
  'counter',
  'pin',
  'cap',
  'absent',
  'gate',
  'balance',
  'pending',
  'marks',
  'reserved',
] as const

/** Long enough for any clock to be past the day. */
const CAP_LIFETIME_S = 3 * 86_400
/** A card is mostly read again long before. */
const COUNTED_PIN_LIFETIME_MS = 7 * 86_400_000
const PIN_TOLD = { right: 1, wrong: 2 } as const

/** @param journal where the answers will be written down @returns an outcome an item @throws HotStateUnavailable */
export async function decideInStandIn(
  hotState: HotState,
  journal: string,
  nowMs: number,
  items: readonly StandInItem[],
): Promise<StandInOutcome[]> {
  const { journals, answers, stopped, counters, pins } = STAND_IN_KEYS
  const names: string[] = ['reservations', STAND_IN_FLAG, journals, answers, stopped, counters, pins]
  for (const { approves, token } of items)
    names.push(`purse:${String(approves?.purseId ?? 0)}`, capName(approves), countedPinName(token))
  const lists = items.map((item) => itemList(item, nowMs))
  const records = items.map(({ record }) => record)
  const reply = await hotState.run(DECIDE, names, [journal, String(CAP_LIFETIME_S), JSON.stringify(lists), ...records])
  return (reply as (number | string)[]).map((outcome) => {
    if (typeof outcome === 'string') return { kind: 'known', record: outcome }
    const kind = OUTCOMES[outcome]
    if (kind === undefined) throw new HotStateUnavailable(`standIn.lua answered ${String(outcome)}`)
    return { kind }
  })
}

function capName(approves: StandInApproval | undefined): string {
  return approves === undefined ? 'standin:cap:0' : `standin:cap:${String(approves.purseId)}:${approves.cap.day}`
}

function itemList({ key, keyDate, body, token, counter, pin, approves }: StandInItem, nowMs: number): (string | number)[] {
  const pins = [pin === undefined ? 0 : PIN_TOLD[pin.told], pin?.tries ?? 0, pin?.triesMax ?? 0, pin?.cardVersion ?? 0]
  const holder = [counter ?? -1, ...pins]
  if (approves === undefined) return [key, body, token, ...holder, 0]
  const { cap, debit, gate, setMarks, purseId } = approves
  return [
    ...[key, body, token, ...holder, 1, cap.amount, cap.max, debit, gate ?? 0, setMarks],
    ...[nowMs, dayNumber(keyDate), purseId],
  ]
}

/**
 * @returns the record of each key, the report of each card that was stopped, undefined where there is none; and the wrong PINs of each card that were told
 * @throws HotStateUnavailable
 */
export async function readStandIn(
  hotState: HotState,
  keys: readonly string[],
  tokens: readonly string[] = [],
): Promise<{ readonly records: (string | undefined)[]; readonly stops: (string | undefined)[]; readonly pins: number[] }> {
  const { answers, stopped, pins } = STAND_IN_KEYS
  const reply = await hotState.run(READ, [answers, stopped, pins], [String(keys.length), ...keys, ...tokens])
  const found = (reply as string[]).map((text) => (text === '' ? undefined : text))
  const counts = keys.length + tokens.length
  return {
    records: found.slice(0, keys.length),
    stops: found.slice(keys.length, counts),
    pins: found.slice(counts).map((text) => Number(text ?? 0)),
  }
}

/** @returns how many journals hold something @throws HotStateUnavailable */
export async function tellJournals(
  hotState: HotState,
  { holding = [], empty = [] }: { holding?: readonly string[]; empty?: readonly string[] },
): Promise<number> {
  const { journals, answers, stopped, counters, pins } = STAND_IN_KEYS
  const args = [JSON.stringify(holding), JSON.stringify(empty)]
  return Number(await hotState.run(JOURNALS, [STAND_IN_FLAG, journals, answers, stopped, counters, pins], args))
}

/** @throws HotStateUnavailable */
export async function stopInStandIn(hotState: HotState, journal: string, token: string, report: string): Promise<void> {
  const { journals, stopped } = STAND_IN_KEYS
  await hotState.run(STOP, [STAND_IN_FLAG, journals, stopped], [journal, token, report])
}

/** In and out of stand-in, so that it knows. @throws HotStateUnavailable */
export async function tellCountedPins(hotState: HotState, notes: readonly CountedPin[]): Promise<void> {
  const lists = notes.map(({ version, versionSince, triesSince, isOnTop }) => [
    ...[version, versionSince, triesSince],
    isOnTop ? 1 : 0,
  ])
  const names = notes.map(({ token }) => countedPinName(token))
  await hotState.run(COUNTED_PINS, names, [String(COUNTED_PIN_LIFETIME_MS), JSON.stringify(lists)])
}
