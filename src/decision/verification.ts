/**
 * What must be verified of a card and its holder before anything is said about money, and what a decision makes of the result: chip (82), then
 * PIN (55, 75, 86), in the order of the programme's rules. Pure; the verification itself is src/decision/verifyHolder.ts.
 */
import { assert } from '../assert.ts'
import type { CardSnapshot } from '../card.ts'
import type { Transaction } from '../transaction/transaction.ts'
import type { DecisionContext } from './context.ts'
import { decline, type Decision, type DeclineReason } from './decision.ts'
import { movementOf, NOTHING_TO_POST } from './posting.ts'
import { passesClosedDoors } from './velocity.ts'
import { NOTHING_VERIFIED, type Verified } from './verified.ts'

/** @returns what stands in the way: first that it has not been verified yet, then what is wrong; undefined where nothing is */
export function verificationStep(transaction: Transaction, context: DecisionContext): Decision | undefined {
  if (transaction.credentials !== undefined && context.verified === undefined) return { kind: 'verify' }
  const reason = verificationReason(transaction, context, context.verified ?? NOTHING_VERIFIED)
  if (reason === undefined) return undefined
  return reason === 'pin_wrong' ? declineOfWrongPin(context) : decline(reason)
}

/** It is counted in the commit, under the card's lock; any gate, because each count raises it and many at once shall all be counted. */
function declineOfWrongPin({ card }: DecisionContext): Decision {
  const [purse] = card.purses
  assert(purse !== undefined, 'a card without purses was declined')
  return decline('pin_wrong', { ...NOTHING_TO_POST, movement: movementOf(purse.id, null, 0) })
}

/** Before anything is said of the card. Whoever shows a chip or a PIN is let in through the range's door, and looked at. */
export function closedReason(transaction: Transaction, { closed }: DecisionContext): DeclineReason | undefined {
  if (closed === undefined || passesClosedDoors(transaction)) return undefined
  const { chip, pin } = transaction.credentials ?? {}
  return closed === 'bin' && (chip !== undefined || pin !== undefined) ? undefined : `velocity_${closed}`
}

function verificationReason(transaction: Transaction, context: DecisionContext, verified: Verified): DeclineReason | undefined {
  if (verified.fault) return 'fault'
  switch (verified.full) {
    case 'pin':
      return 'pin_tries_exceeded'
    case 'card':
    case 'terminal':
    case 'bin':
      return `velocity_${verified.full}`
    case undefined: {
      const reason = chipReason(transaction, context, verified) ?? pinReason(transaction, context, verified)
      const isClosed = context.closed === 'bin' && !passesClosedDoors(transaction)
      // A wrong PIN is counted, so it is said; the card is known to whoever can make its PIN blocks.
      return isClosed && verified.chip !== 'valid' && verified.pin !== 'valid' && verified.pin !== 'wrong'
        ? 'velocity_bin'
        : reason
    }
  }
}

function chipReason(transaction: Transaction, context: DecisionContext, verified: Verified): DeclineReason | undefined {
  const { chip, atc, cardValue } = verified
  if (chip === 'invalid') return 'cryptogram'
  if (chip === 'mismatch') return 'chip_mismatch'
  if (chip === 'absent' && context.parameters.chip.terminalClasses.includes(context.terminal.class)) return 'chip_required'
  if (atc !== undefined) {
    const ahead = transaction.credentials?.profile.chip?.atcAheadMax ?? 0
    if (!isFreshAtc(atc, context.card, ahead)) return 'atc'
  }
  return cardValue === 'invalid' ? 'card_value' : undefined
}

const ATC_WINDOW = 63

/**
 * A transaction counter is good once, in any order within a window below the highest, and no further ahead of it than the profile allows. The
 * ledger judges the same again under the card's lock; here is the distance ahead judged too.
 */
export function isFreshAtc(atc: number, card: Pick<CardSnapshot, 'atcMax' | 'atcSeen'>, aheadMax: number): boolean {
  if (atc > card.atcMax) return atc - card.atcMax <= aheadMax
  const behind = card.atcMax - atc
  return behind < ATC_WINDOW && ((BigInt(card.atcSeen) >> BigInt(behind)) & 1n) === 0n
}

function pinReason(transaction: Transaction, context: DecisionContext, verified: Verified): DeclineReason | undefined {
  const { pin } = verified
  // The PIN was changed meanwhile: what was found of it tells nothing of the one that is good now.
  if ((pin === 'valid' || pin === 'wrong') && verified.reference !== context.card.pinReference) return 'pin_block'
  const required = isPinRequired(transaction, context)
  // Whatever the PIN is, and whether it was needed or not: nothing is told of it any more.
  if ((required || pin !== 'absent') && context.card.state === 'PIN_BLOCKED') return 'pin_tries_exceeded'
  switch (pin) {
    case 'valid':
      return undefined
    case 'wrong':
      return 'pin_wrong'
    case 'broken':
      return 'pin_block'
    case 'unverifiable':
      return required ? 'pin_block' : undefined
    case 'absent':
      if (!required) return undefined
      return transaction.hasPin ? 'pin_block' : 'pin_required'
  }
}

/** At terminals of some classes always, of some services wherever they are. Credits need no holder. */
function isPinRequired({ kind, purse }: Transaction, { terminal, parameters }: DecisionContext): boolean {
  if (kind === 'credit' || kind === 'deposit') return false
  if (kind === 'pinChange') return true
  if (parameters.pin.terminalClasses.includes(terminal.class)) return true
  return kind === 'dispense' && parameters.services[purse]?.pin === true
}

/** Wrong PINs that are left before the PIN is blocked. */
export function pinTriesLeft(transaction: Transaction, tries: number): number {
  return Math.max(0, (transaction.credentials?.profile.pin?.triesMax ?? 0) - tries)
}
