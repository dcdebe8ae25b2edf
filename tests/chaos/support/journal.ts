/** What the terminals sent and were told: their word alone, kept without any look at the switch's tables. */
import type { DemoTerminal } from '../../../src/programme/demo.ts'

export const DEMANDS = ['purchase', 'withdrawal', 'deposit', 'authorize', 'bread', 'ration', 'points'] as const
export type Demand = (typeof DEMANDS)[number]
export type MessageKind = Demand | 'complete' | 'refund' | 'reversal'

/** Whose card it is, and the purses that come with it. */
export interface Holder {
  readonly pan: string
  readonly purses: Readonly<Record<'cash' | 'ration' | 'bread' | 'points', number>>
}

export interface Sending {
  readonly atMs: number
  /** Which switch process it went to. */
  readonly host: number
}

export interface Answer {
  readonly atMs: number
  readonly host: number
  readonly responseCode: string
  /** DE 4: of a part that was approved, that part. */
  readonly amount: number
  readonly approvalCode: string | undefined
}

export interface Sent {
  readonly key: string
  readonly kind: MessageKind
  readonly terminal: DemoTerminal
  readonly holder: Holder
  /** DE 4, piasters. */
  readonly amount: number
  /** 0 where it is not about bread. */
  readonly loaves: number
  /** What it completes, gives back or reverses. */
  readonly original: Sent | undefined
  /** The first is the message itself, all others are its repeats. */
  readonly sendings: Sending[]
  /** All that came, whoever still waited for them. */
  readonly answers: Answer[]
  /** What the terminal went by; undefined: it gave up, or broke. */
  told: Answer | undefined
  /** The terminal broke before it was told: nobody will ask again. */
  abandoned: boolean
  /** What followed it, where something did. */
  reversedBy: Sent | undefined
  completedBy: Sent | undefined
}

export class Journal {
  readonly all: Sent[] = []
  readonly #byKey = new Map<string, Sent>()

  add(sent: Sent): void {
    this.all.push(sent)
    this.#byKey.set(sent.key, sent)
    if (sent.original === undefined) return
    if (sent.kind === 'reversal') sent.original.reversedBy = sent
    else if (sent.kind === 'complete') sent.original.completedBy = sent
  }

  find(key: string): Sent | undefined {
    return this.#byKey.get(key)
  }
}

/** Approved, wholly or in part. */
export function isApproval(responseCode: string | undefined): boolean {
  return responseCode === '00' || responseCode === '10'
}

/** Cannot be done now (91), or a fault of the switch (96): what has to be told it is sent again later. */
export function isForLater(responseCode: string): boolean {
  return responseCode === '91' || responseCode === '96'
}

/** Which purse a message moves first. */
export function purseOf({ kind, holder, original }: Pick<Sent, 'kind' | 'holder' | 'original'>): number {
  if (original !== undefined) return purseOf(original)
  return kind === 'bread' || kind === 'ration' || kind === 'points' ? holder.purses[kind] : holder.purses.cash
}
