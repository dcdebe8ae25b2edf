/** What the load consists of: mixes of scenarios, each a message and perhaps the one that follows it once it was approved. */
import type { Random } from './random.ts'

/** Messages the generator can send, in the words of `sarf send`. The journal stores their position in this list. */
export const MESSAGE_KINDS = [
  'purchase',
  'withdrawal',
  'deposit',
  'credit',
  'payment',
  'balance',
  'authorize',
  'complete',
  'reversal',
] as const
export type MessageKind = (typeof MESSAGE_KINDS)[number]

export interface Scenario {
  readonly kind: MessageKind
  readonly terminalClass: string
  /** Sent on the same terminal and for the same amount as soon as the first one was approved. */
  readonly then?: 'complete' | 'reversal'
  readonly weight: number
}

export interface Mix {
  readonly explanation: string
  readonly scenarios: readonly Scenario[]
}

export const MIX_NAMES = ['purchase', 'withdrawal', 'deposit', 'balance', 'authorize', 'reversal', 'national'] as const
export type MixName = (typeof MIX_NAMES)[number]

export const MIXES: Readonly<Record<MixName, Mix>> = {
  purchase: { explanation: '0200 purchases at shops', scenarios: [{ kind: 'purchase', terminalClass: 'pos', weight: 1 }] },
  withdrawal: {
    explanation: '0200 withdrawals at post ATMs; a card may withdraw 10 times a day, then the answer is 65',
    scenarios: [{ kind: 'withdrawal', terminalClass: 'atm', weight: 1 }],
  },
  deposit: {
    explanation: '0200 deposits at post offices',
    scenarios: [{ kind: 'deposit', terminalClass: 'post-office', weight: 1 }],
  },
  balance: { explanation: '0100 balance inquiries', scenarios: [{ kind: 'balance', terminalClass: 'pos', weight: 1 }] },
  authorize: {
    explanation: '0100 authorizations, each followed by its 0220 completion',
    scenarios: [{ kind: 'authorize', then: 'complete', terminalClass: 'pos', weight: 1 }],
  },
  reversal: {
    explanation: '0200 purchases, each followed by its 0400 reversal',
    scenarios: [{ kind: 'purchase', then: 'reversal', terminalClass: 'pos', weight: 1 }],
  },
  national: {
    explanation: 'an assumed day of the whole programme: mostly small purchases, with some of everything else',
    scenarios: [
      { kind: 'purchase', terminalClass: 'pos', weight: 40 },
      { kind: 'purchase', terminalClass: 'grocer', weight: 15 },
      { kind: 'purchase', terminalClass: 'bakery', weight: 15 },
      { kind: 'withdrawal', terminalClass: 'atm', weight: 8 },
      { kind: 'balance', terminalClass: 'pos', weight: 8 },
      { kind: 'authorize', then: 'complete', terminalClass: 'pos', weight: 5 },
      { kind: 'payment', terminalClass: 'government', weight: 3 },
      { kind: 'deposit', terminalClass: 'post-office', weight: 2 },
      { kind: 'credit', terminalClass: 'transfer', weight: 2 },
      { kind: 'purchase', then: 'reversal', terminalClass: 'pos', weight: 2 },
    ],
  },
}

export function chooseScenario(scenarios: readonly Scenario[], random: Random): Scenario {
  const [only] = scenarios
  if (scenarios.length === 1 && only !== undefined) return only
  let rest = random.below(scenarios.reduce((sum, scenario) => sum + scenario.weight, 0))
  for (const scenario of scenarios) {
    if (rest < scenario.weight) return scenario
    rest -= scenario.weight
  }
  throw new RangeError('a mix has a scenario')
}

/** Piasters. Small, so that neither funds nor the day's amount are what limits a run. */
const AMOUNT_LEAST = 100
const AMOUNT_MOST = 5000
/** The post ATMs of the programme hand out notes of 50 pounds. */
const NOTE = 5000

export function chooseAmount(kind: MessageKind, random: Random): number {
  if (kind === 'balance') return 0
  if (kind === 'withdrawal') return NOTE
  return AMOUNT_LEAST + random.below(AMOUNT_MOST - AMOUNT_LEAST + 1)
}
