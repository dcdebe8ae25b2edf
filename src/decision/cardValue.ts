/** Which card verification value a message shows, and where: magnetic stripe, chip's copy of it, contactless, or printed and typed in. */
import type { CardValue, CardValueCheck } from '../security/hsm.ts'
import type { CardProfile } from '../securityParameters.ts'
import { stripeOf, type Credentials, type StripeData } from '../transaction/credentials.ts'

const VALUE_DIGITS = 3
const ATC_DIGITS = 4

/** @returns undefined where the message shows none */
export function cardValueCheckOf(credentials: Credentials): CardValueCheck | undefined {
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
      return stripe === undefined ? undefined : dynamicValue(credentials, profile, stripe, ofTrack(stripe))
    case 'stripe':
    case 'unknown':
      if (stripe !== undefined) {
        return check({ kind: 'cvv', key, expiry: stripe.expiry, serviceCode: stripe.serviceCode }, ofTrack(stripe))
      }
      return printedValue(credentials, key)
    case 'manual':
      return printedValue(credentials, key)
  }
}

function printedValue({ cardValue2, expiry, pan }: Credentials, key: string): CardValueCheck | undefined {
  return cardValue2 === undefined || expiry === undefined
    ? undefined
    : { pan: pan.reveal(), value: { kind: 'cvv2', key, expiry }, given: cardValue2 }
}

function dynamicValue(
  { pan, psn }: Credentials,
  profile: CardProfile,
  stripe: StripeData,
  given: string,
): CardValueCheck | undefined {
  if (profile.chip === undefined || profile.cardValue === undefined) return undefined
  const start = profile.cardValue.trackOffset + VALUE_DIGITS
  const atc = stripe.discretionary.slice(start, start + ATC_DIGITS)
  const { expiry, serviceCode } = stripe
  return { pan: pan.reveal(), given, value: { kind: 'dcvv', key: profile.chip.key, expiry, serviceCode, psn: psn ?? '00', atc } }
}
