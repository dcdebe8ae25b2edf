/**
 * The life of a card: one table, from which the checks, the errors of the API and the diagram in spec/programme.md come. What a message does to a card (the
 * 8th wrong fingerprint, a PIN tried too often, the old card's end) is done by `commit_batch` and stands here too, so that the table is whole.
 */
import type { CardState } from '../card.ts'

export type CardEvent =
  | 'notice_received'
  | 'order_withdrawn'
  | 'collection_month_passed'
  | 'diwan_month_passed'
  | 'handed_over'
  | 'fingerprints_exceeded'
  | 'fingerprint_reverified'
  | 'pin_tries_exceeded'
  | 'pin_reported_lost'
  | 'pin_set'
  | 'reported_lost'
  | 'reported_stolen'
  | 'reported_damaged'
  | 'expired'
  | 'replaced'
  | 'renewed'
  | 'holder_died'
  | 'retired'

export interface Transition {
  readonly event: CardEvent
  readonly from: readonly CardState[]
  readonly to: CardState
  /** What must hold besides, in words. */
  readonly guard?: string
  /** A message does it, in the commit of its decision. */
  readonly byMessage?: true
}

const AWAITING: readonly CardState[] = ['AWAITING_COLLECTION', 'AWAITING_COLLECTION_DIWAN']
const ON_THE_WAY: readonly CardState[] = ['ORDERED', ...AWAITING]
/** Handed over and not ended, whether it works at the moment or not. */
export const IN_HAND: readonly CardState[] = ['ACTIVE', 'SUSPENDED_BIOMETRIC', 'PIN_BLOCKED', 'PIN_LOST']
const STOPPED: readonly CardState[] = ['LOST', 'STOLEN', 'DAMAGED']

/** What there is to a card that has ended: nothing more can happen to it. */
export const FINAL: readonly CardState[] = ['DESTROYED', 'REPLACED', 'CANCELLED', 'CLOSED', 'RETIRED']

/** Source: the programme's published rules 6 to 16, and the rules for what they leave open (spec/programme.md). */
export const TRANSITIONS: readonly Transition[] = [
  { event: 'notice_received', from: ['ORDERED'], to: 'AWAITING_COLLECTION', guard: 'printed; the receipt of the SMS is T0' },
  { event: 'order_withdrawn', from: ON_THE_WAY, to: 'CANCELLED' },
  {
    event: 'collection_month_passed',
    from: ['AWAITING_COLLECTION'],
    to: 'AWAITING_COLLECTION_DIWAN',
    guard: 'T0 + 1 calendar month',
  },
  { event: 'diwan_month_passed', from: ['AWAITING_COLLECTION_DIWAN'], to: 'DESTROYED', guard: 'T0 + 2 calendar months' },
  {
    event: 'handed_over',
    from: AWAITING,
    to: 'ACTIVE',
    guard: 'national ID and mobile match, right place, within the period, PIN set, over 16 or the head',
  },
  { event: 'fingerprints_exceeded', from: ['ACTIVE', 'PIN_BLOCKED'], to: 'SUSPENDED_BIOMETRIC', byMessage: true },
  { event: 'fingerprint_reverified', from: ['SUSPENDED_BIOMETRIC'], to: 'ACTIVE', guard: 'two officers; the count starts anew' },
  { event: 'pin_tries_exceeded', from: ['ACTIVE'], to: 'PIN_BLOCKED', byMessage: true },
  { event: 'pin_reported_lost', from: ['ACTIVE', 'PIN_BLOCKED'], to: 'PIN_LOST' },
  { event: 'pin_set', from: ['PIN_BLOCKED', 'PIN_LOST'], to: 'ACTIVE', guard: 'at a post office' },
  { event: 'reported_lost', from: [...ON_THE_WAY, ...IN_HAND], to: 'LOST' },
  { event: 'reported_stolen', from: [...ON_THE_WAY, ...IN_HAND], to: 'STOLEN' },
  { event: 'reported_damaged', from: IN_HAND, to: 'DAMAGED' },
  { event: 'expired', from: IN_HAND, to: 'EXPIRED', guard: 'the last day of its month has passed' },
  { event: 'replaced', from: STOPPED, to: 'REPLACED', guard: 'the replacement is handed over, its fee paid' },
  {
    event: 'renewed',
    from: ['ACTIVE', 'PIN_BLOCKED', 'PIN_LOST', 'EXPIRED'],
    to: 'REPLACED',
    guard: 'the renewal is handed over, its fee paid',
  },
  { event: 'holder_died', from: ON_THE_WAY, to: 'CANCELLED' },
  { event: 'holder_died', from: [...IN_HAND, ...STOPPED, 'EXPIRED'], to: 'CLOSED', guard: 'the balance goes to the heirs' },
  { event: 'retired', from: IN_HAND, to: 'RETIRED', guard: 'an old ration card; the new one dispensed first', byMessage: true },
]

export const CARD_EVENTS: readonly CardEvent[] = [...new Set(TRANSITIONS.map(({ event }) => event))]

/** The state that an event leads to; undefined where it cannot happen in that state. */
export function stateAfter(state: CardState, event: CardEvent): CardState | undefined {
  return TRANSITIONS.find((transition) => transition.event === event && transition.from.includes(state))?.to
}

/** States in which an event can happen. */
export function statesFor(event: CardEvent): CardState[] {
  return [...new Set(TRANSITIONS.filter((transition) => transition.event === event).flatMap(({ from }) => from))]
}

/** What can happen to a card in a state, other than by a message. */
export function eventsIn(state: CardState): CardEvent[] {
  return TRANSITIONS.filter(({ from, byMessage }) => byMessage !== true && from.includes(state)).map(({ event }) => event)
}

/** The table as a state diagram in Mermaid's notation. */
export function lifeDiagram(): string {
  const lines = new Map<string, string[]>()
  for (const { event, from, to } of TRANSITIONS)
    for (const state of from) lines.set(`${state} --> ${to}`, [...(lines.get(`${state} --> ${to}`) ?? []), event])
  return [
    'stateDiagram-v2',
    '  [*] --> ORDERED',
    ...[...lines].map(([arrow, events]) => `  ${arrow}: ${events.join(', ')}`),
    ...FINAL.map((state) => `  ${state} --> [*]`),
  ].join('\n')
}
