/**
 * What the ledger's count of a card's wrong PINs came to, told to Redis from the commit's own answer: the card itself is read again a little later, and may
 * not be where the ledger goes away in between. Stand-in goes by it while it is of a later version than the card that Redis has, and else by the card.
 */
import type { CardSnapshot } from '../card.ts'

export interface CountedPin {
  readonly token: string
  /** Of the card that it was decided on. */
  readonly version: number
  readonly versionSince: number
  readonly triesSince: number
  /** Its count was not told: it goes on top of whatever else is known. */
  readonly isOnTop: boolean
}

/**
 * The card's version since then is no part of the answer. Where others counted wrong PINs meanwhile it follows from how many; where a right one came between
 * them, the count has begun anew.
 */
export function countedPin({ token, version, pinTries }: CardSnapshot, tries: number): CountedPin {
  const versionSince = tries > pinTries ? version + tries - pinTries : version + 1 + tries
  return { token, version, versionSince, triesSince: tries, isOnTop: false }
}

/** A wrong PIN that the ledger has counted without saying what its count came to, or has perhaps. */
export function oneMorePin({ token, version, pinTries }: CardSnapshot): CountedPin {
  return { token, version, versionSince: version + 1, triesSince: pinTries + 1, isOnTop: true }
}

/** Where it is kept. */
export function countedPinName(token: string): string {
  return `pins:${token}`
}
