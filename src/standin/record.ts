/**
 * What the journal of stand-in keeps: each decision that was told, as much of it as posting it later takes, and each stop of the hotline. Card numbers,
 * PIN blocks and cryptograms are not in it: a card is its token.
 */
import type { DeclineReason } from '../decision/decision.ts'
import { KIND, type Dispense } from '../transaction/transaction.ts'
import type { StoredAnswer, VerificationRecord } from '../ledger/commitItem.ts'
import type { Report } from '../transaction/hotCardFile.ts'
import type { Terminal } from '../transaction/terminal.ts'

export type StandInRecord = DecisionRecord | StopRecord

/** A request without what was shown of card and holder. */
export type BareDispense = Omit<Dispense, 'credentials' | 'profile'>

export interface DecisionRecord {
  readonly type: 'decision'
  /** `localDay` and `localTime` are the switch's, in Cairo: the day that was drawn. */
  readonly transaction: BareDispense
  readonly terminal: Terminal
  /** The purse it draws on. */
  readonly purseId: number
  /** When stand-in decided it, milliseconds since 1970. */
  readonly atMs: number
  readonly responseCode: string
  /** Null: it was approved. */
  readonly reason: DeclineReason | null
  readonly approvalCode: string | null
  readonly approved: number
  /** What moves in the purse's own unit, where that is not the amount. */
  readonly quantity: number | null
  /** What was verified of the holder; null: nothing that the ledger keeps. */
  readonly verified: VerifiedRecord | null
}

export interface VerifiedRecord extends Pick<VerificationRecord, 'atc' | 'pin' | 'pinTriesMax' | 'checkedReference'> {
  /** How far a counter may be ahead. */
  readonly atcAheadMax: number
}

export interface StopRecord {
  readonly type: 'stop'
  /** Makes the command one, as the hotline's message does. */
  readonly key: string
  readonly fingerprint: string
  readonly link: string
  readonly token: string
  readonly what: Report
  readonly reference: string | null
  readonly atMs: number
}

/** What the key of a decision is answered with when it comes again. */
export function storedAnswerOf(record: DecisionRecord): StoredAnswer {
  const { transaction, responseCode, reason, approvalCode, approved, quantity } = record
  const { key, keyDate, mti, body, amount, rrn } = transaction
  return {
    ...{ key, keyDate, mti, kind: KIND.dispense, body, responseCode, reason, approvalCode, approved, requested: amount, rrn },
    ...{ available: null, held: null, quantity: reason === null ? quantity : null, second: false },
  }
}
