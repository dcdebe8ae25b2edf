/** What the model knows of a message. */
import type { AuthorizationRow } from './fakeTables.ts'
import type { Composed } from './frames.ts'
import type { MessageKind, PlannedMessage } from './planned.ts'
import type { SimulatedCard } from './programme.ts'

/** What stand-in has decided of a message, as a journal has it. */
export interface Stood {
  readonly code: string
  readonly approved: number
  readonly purseId: number
  /** The day that was drawn. */
  readonly day: string
  durable: boolean
  /** The ledger had decided the key before: a first message that comes again then is decided anew (spec/standin.md). */
  readonly anew: boolean
  /** A terminal was told, before the ledger had it. */
  told: boolean
}

/** A message by its key, whoever has sent it how often. */
export interface Known {
  readonly key: string
  readonly kind: MessageKind
  readonly composed: Composed
  readonly card: SimulatedCard
  readonly planned: PlannedMessage
  readonly original: Known | undefined
  /** When a process first had it; Infinity: none yet. */
  firstArrivalMs: number
  /** How often it was sent. */
  copies: number
  /** The decision of its key, and of the key by which an advice is posted by force. */
  row: AuthorizationRow | undefined
  forced: AuthorizationRow | undefined
  /** What was given back of it, and what of that was suspense's. */
  givenBack: number
  givenBackToSuspense: number
  linked: number
  /** Of a refund: how much was linked to its original with it. Of what was reversed: the same at its last reversal; 0: it was not. */
  linkedAt: number
  reversedAt: number
  completed: boolean
  /** Of an authorization: what is left of its hold. */
  hold: number
  /** Its reversal was answered: nothing of it may be owed any more. */
  reversalTold: boolean
  /** Undefined: no journal has had it. */
  stood: Stood | undefined
  /** The terminal was told 91 and had sent no second copy that this could have been the answer to. */
  closedBy91: boolean
}

export function isApproval(code: string): boolean {
  return code === '00' || code === '10'
}

/** What the refund gave back was taken into account when the purchase itself was reversed: it is not charged again. */
export function isSettled({ kind, original, linkedAt }: Known): boolean {
  return kind === 'refund' && (original?.reversedAt ?? 0) > linkedAt
}

/** The purse that a message draws on. */
export function purseIdOf({ kind, card, original }: Known): number | undefined {
  switch (kind) {
    case 'bread':
    case 'breadAdvice':
      return card.purses.bread
    case 'ration':
      return card.purses.ration
    case 'points':
      return card.purses.points
    case 'refund':
    case 'reversal':
      return original === undefined ? undefined : purseIdOf(original)
    default:
      return card.purses.cash
  }
}
