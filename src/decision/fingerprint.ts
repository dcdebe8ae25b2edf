/** What the result of a fingerprint reader (DE 48 BR) means for a transaction and for its card. */
import type { PurseReference } from '../card.ts'
import type { FingerprintResult } from '../transaction/transaction.ts'
import type { DecisionContext } from './context.ts'
import { decline, type Decline } from './decision.ts'
import { movementOf, NOTHING_TO_POST, type CardUpdate } from './posting.ts'

/**
 * Only a mismatch counts: no capture, a fault of the device and a repeat say nothing about the holder. It is counted in the commit, under the
 * card's lock, and where it is one more than allowed in a row the same commit suspends the card.
 *
 * @param purse under whose lock it is counted
 * @returns undefined where the fingerprint matched
 */
export function fingerprintDecline(
  result: FingerprintResult | undefined,
  purse: PurseReference,
  context: DecisionContext,
): Decline | undefined {
  switch (result) {
    case 'M':
      return undefined
    case 'N':
      return decline('fingerprint_not_captured')
    case 'X':
      return decline('fingerprint_mismatch', {
        ...NOTHING_TO_POST,
        // Any gate: each count raises it, and many at once shall all be counted. That the card is not suspended yet, the commit sees.
        movement: movementOf(purse.id, null, 0),
        cardUpdate: cardUpdate('mismatch', context),
      })
    case 'F':
    case undefined:
      return decline('no_fingerprint_reader')
  }
}

/** A match: wrong fingerprints are counted anew. That there are none is known: each one that is counted raises the gates. */
export function afterMatch(context: DecisionContext): CardUpdate | null {
  return context.card.mismatches === 0 ? null : cardUpdate('match', context)
}

function cardUpdate(change: 'mismatch' | 'match', { card, parameters }: DecisionContext): CardUpdate {
  return {
    change,
    token: card.token,
    tries: parameters.fingerprint.mismatchesMax + 1,
    raise: card.purses.map(({ id }) => id),
  }
}
