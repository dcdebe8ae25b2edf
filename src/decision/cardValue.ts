/** Which card verification value a message shows, and where: magnetic stripe, chip's copy of it, contactless, or printed and typed in. */
import type { CardSnapshot } from '../card.ts'
import type { CardValue, CardValueCheck } from '../security/hsm.ts'
import type { CardProfile } from '../securityParameters.ts'
import { stripeOf, type Credentials, type StripeData } from '../transaction/credentials.ts'

const VALUE_DIGITS = 3
const ATC_DIGITS = 4

/** @returns undefined where the message shows none; `malformed` where it is there and cannot be one: what the HSM cannot compute is not a fault of ours */
export function cardValueCheckOf(credentials: Credentials, card: CardOfValue): CardValueCheck | 'malformed' | undefined {
  const check = checkOf(credentials, card)
  return check === undefined || isWhole(check) ? check : 'malformed'
}

/** What the books say of the card: nothing of it is taken from the message where that does not say it itself. */
export type CardOfValue = Pick<CardSnapshot, 'expiry' | 'psn'>

function isWhole({ given, value }: CardValueCheck): boolean {
  return /^\d{3}$/.test(given) && /^\d{4}$/.test(value.expiry) && (value.kind !== 'dcvv' || /^\d{4}$/.test(value.atc))
}

function checkOf(credentials: Credentials, card: CardOfValue): CardValueCheck | undefined {
  const { profile, entry, stripe, chip, pan } = credentials
  if (profile.cardValue === undefined) return undefined
  const check = (value: CardValue, given: string): CardValueCheck => ({ pan: pan.reveal(), value, given })
  const { key, trackOffset } = profile.cardValue
  const ofTrack = (track: StripeData): string => track.discretionary.slice(trackOffset, trackOffset + VALUE_DIGITS)
  switch (entry) {
    case 'chip':
    case 'contactless': {
      // The chip's track 2 has a value of its own, which is good on no stripe.
      const track = stripeOf(chip?.card?.reveal().track2) ?? stripe
      return track === undefined ? undefined : check({ kind: 'icvv', key, expiry: track.expiry }, ofTrack(track))
    }
    case 'contactless-stripe':
      return stripe === undefined ? undefined : dynamicValue(credentials, profile, stripe, ofTrack(stripe), card)
    case 'stripe':
    case 'unknown':
      if (stripe !== undefined) {
        return check({ kind: 'cvv', key, expiry: stripe.expiry, serviceCode: stripe.serviceCode }, ofTrack(stripe))
      }
      return printedValue(credentials, key, card)
    case 'manual':
      return printedValue(credentials, key, card)
  }
}

function printedValue({ cardValue2, expiry, pan }: Credentials, key: string, card: CardOfValue): CardValueCheck | undefined {
  return cardValue2 === undefined
    ? undefined
    : { pan: pan.reveal(), value: { kind: 'cvv2', key, expiry: expiry ?? card.expiry }, given: cardValue2 }
}

function dynamicValue(
  { pan }: Credentials,
  profile: CardProfile,
  stripe: StripeData,
  given: string,
  { psn }: CardOfValue,
): CardValueCheck | undefined {
  if (profile.chip === undefined || profile.cardValue === undefined) return undefined
  const start = profile.cardValue.trackOffset + VALUE_DIGITS
  const atc = stripe.discretionary.slice(start, start + ATC_DIGITS)
  const { expiry, serviceCode } = stripe
  return { pan: pan.reveal(), given, value: { kind: 'dcvv', key: profile.chip.key, expiry, serviceCode, psn, atc } }
}

/** The transaction counter that a contactless stripe shows with its value; undefined where there is none. */
export function contactlessAtc({ entry, stripe, profile }: Credentials): number | undefined {
  if (entry !== 'contactless-stripe' || stripe === undefined || profile.cardValue === undefined) return undefined
  const start = profile.cardValue.trackOffset + VALUE_DIGITS
  return Number(stripe.discretionary.slice(start, start + ATC_DIGITS))
}
