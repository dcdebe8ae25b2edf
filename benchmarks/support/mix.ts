/** What the load consists of: mixes of scenarios, each a message and perhaps the one that follows it once it was approved. */
import { reversalOf, type MessageKind } from './messageKinds.ts'
import type { ProgrammeRules } from './programmeRules.ts'
import type { Random } from './random.ts'

export interface Scenario {
  readonly kind: MessageKind
  readonly terminalClass: string
  /** Sent on the same terminal and for the same amount as soon as the first one was approved. */
  readonly then?: MessageKind
  readonly weight: number
}

export interface Mix {
  readonly explanation: string
  readonly scenarios: readonly Scenario[]
  /** Of 100 messages that can be reversed so many are, once they were approved. */
  readonly reversedPercent?: number
  /** Of 100 messages so many are sent again as repeats (ISO 8583-1:1987 4.1.4) once they were answered. */
  readonly repeatedPercent?: number
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
    scenarios: [{ kind: 'purchase', then: 'reversal of purchase', terminalClass: 'pos', weight: 1 }],
  },
  national: {
    explanation:
      'of 100 messages 60 bread, 10 ration, 3 points, 12 purchases, 5 withdrawals, 8 balances, 2 health eligibility; 2 % reversed, ' +
      '1 % repeated; a household draws bread once a day, then the answer is 65',
    scenarios: [
      { kind: 'bread', terminalClass: 'bakery', weight: 60 },
      { kind: 'ration', terminalClass: 'grocer', weight: 10 },
      { kind: 'points', terminalClass: 'grocer', weight: 3 },
      { kind: 'purchase', terminalClass: 'pos', weight: 12 },
      { kind: 'withdrawal', terminalClass: 'atm', weight: 5 },
      { kind: 'balance', terminalClass: 'pos', weight: 8 },
      { kind: 'eligibility', terminalClass: 'clinic', weight: 2 },
    ],
    reversedPercent: 2,
    repeatedPercent: 1,
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

/** What becomes of a message after its answer. */
export type Sequel = { readonly then: MessageKind } | 'repeat' | undefined

export function chooseSequel({ reversedPercent = 0, repeatedPercent = 0 }: Mix, scenario: Scenario, random: Random): Sequel {
  if (scenario.then !== undefined) return { then: scenario.then }
  if (reversedPercent + repeatedPercent === 0) return undefined
  const chance = random.below(100)
  if (chance >= reversedPercent) return chance < reversedPercent + repeatedPercent ? 'repeat' : undefined
  const then = reversalOf(scenario.kind)
  return then === undefined ? undefined : { then }
}

/** How much a message is about. */
export interface Quantity {
  /** DE 4, piasters. */
  readonly amount: number
  /** 0 where the message is not about bread. */
  readonly loaves: number
}

/** Piasters. Small, so that neither funds nor the day's amount are what limits a run. */
const AMOUNT_LEAST = 100
const AMOUNT_MOST = 5000
/** A household of one has 50 pounds of goods a month. */
const RATION_MOST = 2000
/** Those that have points have 15 pounds at least. */
const POINTS_MOST = 300
/** The post ATMs of the programme hand out notes of 50 pounds. */
const NOTE = 5000

/** @param loavesMax the most bread that the household gets for a day */
export function chooseQuantity(
  kind: MessageKind,
  random: Random,
  { loafPrice }: Pick<ProgrammeRules, 'loafPrice'>,
  loavesMax: number,
): Quantity {
  const upTo = (most: number): Quantity => ({ amount: AMOUNT_LEAST + random.below(most - AMOUNT_LEAST + 1), loaves: 0 })
  switch (kind) {
    case 'balance':
    case 'eligibility':
      return { amount: 0, loaves: 0 }
    case 'withdrawal':
      return { amount: NOTE, loaves: 0 }
    case 'bread': {
      const loaves = 1 + random.below(loavesMax)
      return { amount: loaves * loafPrice, loaves }
    }
    case 'ration':
      return upTo(RATION_MOST)
    case 'points':
      return upTo(POINTS_MOST)
    default:
      return upTo(AMOUNT_MOST)
  }
}
