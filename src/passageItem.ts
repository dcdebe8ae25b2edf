/** What the ledger is to append for a transaction: its decision, or the tombstone of a key. */
import { assert } from './assert.ts'
import type { CardSnapshot } from './card.ts'
import type { Approval, Decision, Decline, DeclineReason } from './decision/decision.ts'
import { NOTHING_TO_POST } from './decision/posting.ts'
import { isFreshAtc } from './decision/verification.ts'
import type { Verified } from './decision/verified.ts'
import type { CommitItem, VerificationRecord } from './ledger/commitItem.ts'
import type { Passage } from './passage.ts'
import { APPROVED, CODE_OF_REASON, PARTIALLY_APPROVED } from './response/responseCodes.ts'
import { approvalCodeFor } from './transaction/identity.ts'
import { KIND } from './transaction/transaction.ts'

/** What the ledger is to append for a decision. */
export function commitItemOf(passage: Passage): CommitItem {
  const { transaction, terminal, decision, original } = passage
  assert(terminal !== undefined && decision !== undefined && isFinal(decision), 'only decisions are committed')
  const approval = decision.kind === 'approve' ? decision : undefined
  const posting = decision.posting ?? NOTHING_TO_POST
  return {
    movement: posting.movement,
    original: posting.original,
    transfers: posting.transfers,
    fromSuspense: posting.fromSuspense,
    holdExpiresAt: posting.holdExpiresAt,
    holdUsed: posting.holdUsed,
    second: posting.second,
    cardUpdate: posting.cardUpdate === null ? null : { ...posting.cardUpdate, ...SUSPENDED },
    quantity: posting.quantity,
    key: passage.key,
    keyDate: transaction.keyDate,
    mti: transaction.mti,
    kind: transaction.kind === 'refund' ? refundKind(original?.kind) : KIND[transaction.kind],
    body: transaction.body,
    cardToken: transaction.cardToken,
    terminalId: transaction.terminalId,
    merchantId: terminal.merchant.id,
    rrn: transaction.rrn,
    requested: transaction.amount,
    approved: approval?.approved ?? 0,
    responseCode:
      decision.kind === 'decline' ? CODE_OF_REASON[decision.reason] : decision.partial ? PARTIALLY_APPROVED : APPROVED,
    reason: decision.kind === 'decline' ? decision.reason : null,
    approvalCode: approval === undefined ? null : (passage.drained?.record.approvalCode ?? approvalCodeOf(passage)),
    verification: passage.drained === undefined ? verificationRecordOf(passage, decision) : drainedVerification(passage),
    ...(passage.drained === undefined ? {} : { stoodInAt: new Date(passage.drained.record.atMs).toISOString() }),
  }
}

/** What was verified in stand-in is stored as far as it still can be: the posting does not depend on it. */
function drainedVerification({ drained, card }: Passage): VerificationRecord | null {
  const verified = drained?.record.verified ?? null
  if (verified === null || card === undefined) return null
  const { pinTriesMax, checkedReference, atcAheadMax } = verified
  const atc = verified.atc !== null && isFreshAtc(verified.atc, card, atcAheadMax) ? verified.atc : null
  const counts = card.state !== 'PIN_BLOCKED' && checkedReference === card.pinReference && verified.pin !== 'checked'
  const pin = counts ? verified.pin : null
  if (atc === null && pin === null) return null
  const raise = pin === 'wrong' ? card.purses.map(({ id }) => id) : []
  return { atc, pin, pinTriesMax, raise, pinReference: null, checkedReference, scriptSent: false }
}

/** What was verified is stored whatever was decided; where the counter of the cryptogram is what was wrong, it is not used up by that. */
export function verificationRecordOf(passage: Passage, decision: Approval | Decline): VerificationRecord | null {
  const { verified, transaction, card } = passage
  if (verified === undefined || card === undefined) return null
  const atc = decision.kind === 'decline' && !isFresh(verified, passage) ? null : (verified.atc ?? null)
  const pin = pinRecordOf(verified, card, decision)
  const pinReference = transaction.kind === 'pinChange' && decision.kind === 'approve' ? newReference(verified) : null
  if (atc === null && pin === null) return null
  return {
    atc,
    pin,
    pinTriesMax: transaction.credentials?.profile.pin?.triesMax ?? 0,
    raise: pin === 'wrong' || pinReference !== null ? card.purses.map(({ id }) => id) : [],
    pinReference,
    checkedReference: verified.reference,
    scriptSent: atc !== null && card.issuerScript !== null,
  }
}

/** Whatever else was wrong: a counter that was used before cannot be used up again. */
function isFresh({ atc }: Verified, { card, transaction }: Passage): boolean {
  if (atc === undefined || card === undefined) return false
  return isFreshAtc(atc, card, transaction.credentials?.profile.chip?.atcAheadMax ?? 0)
}

/**
 * Every wrong PIN is counted, whatever it came with; a right one is said to be right only while the PIN is not blocked, an approval's gate sees to
 * that already. What is declined before the PIN is looked at says nothing of it.
 */
function pinRecordOf(verified: Verified, card: CardSnapshot, decision: Approval | Decline): VerificationRecord['pin'] {
  const reason = decision.kind === 'decline' ? decision.reason : undefined
  if (verified.reference !== card.pinReference || reason === 'pin_tries_exceeded') return null
  if (verified.pin === 'wrong') return 'wrong'
  if (verified.pin !== 'valid' || (reason !== undefined && BEFORE_PIN.includes(reason))) return null
  if (card.pinTries > 0 || verified.newPin !== undefined) return 'right'
  const gate = decision.kind === 'approve' ? (decision.posting.movement?.gate ?? null) : null
  return gate === null ? 'checked' : null
}

const BEFORE_PIN: readonly DeclineReason[] = ['cryptogram', 'chip_mismatch', 'chip_required', 'atc', 'card_value', 'fault']

function newReference({ newPin }: Verified): string | null {
  return newPin === undefined || newPin === 'broken' ? null : newPin.reference
}

function isFinal(decision: Decision): decision is Approval | Decline {
  return decision.kind === 'approve' || decision.kind === 'decline'
}

const SUSPENDED = {
  triesResponse: CODE_OF_REASON.fingerprint_suspended,
  triesReason: 'fingerprint_suspended' satisfies DeclineReason,
} as const

/** What is taken back, and from whom, follows from what is refunded. */
function refundKind(original: number | undefined): number {
  if (original === KIND.payment) return KIND.paymentRefund
  return original === KIND.copay ? KIND.copayRefund : KIND.refund
}

/** Takes a key for good, so that whatever comes under it later is refused with `reason`. */
export function tombstoneOf(
  key: string,
  keyDate: string,
  cardToken: string | null,
  reason: 'reversed_before' | 'void',
): CommitItem {
  return {
    ...NOTHING_TO_POST,
    cardUpdate: null,
    key,
    keyDate,
    mti: 0,
    kind: KIND.tombstone,
    body: null,
    cardToken,
    terminalId: null,
    merchantId: null,
    rrn: null,
    requested: 0,
    approved: 0,
    responseCode: CODE_OF_REASON[reason],
    reason,
    approvalCode: null,
    verification: null,
  }
}

/** A completion carries the number of its authorization on; a reversal has none of its own. */
function approvalCodeOf(passage: Passage): string | null {
  const { transaction, original, key } = passage
  if (transaction.kind === 'reversal') return null
  if (transaction.kind === 'completion') return original?.approvalCode ?? approvalCodeFor(key)
  return approvalCodeFor(key)
}
