/**
 * What a card of the demo programme carries, made with the development keys: its chip, its magnetic stripe and what is printed on it. For whoever
 * plays a terminal: `sarf send`, load generators, tests.
 */
import type { CardProfile } from '../securityParameters.ts'
import { cardValueOperations } from '../security/cardValueOperations.ts'
import { iccMasterKey } from '../security/chipKeys.ts'
import type { CardValue } from '../security/hsm.ts'
import { virtualChip, type Personalisation, type VirtualChip } from '../security/virtualChip.ts'
import { demoExpiry } from './demo.ts'
import { demoKeys } from './demoVerification.ts'

/** DE 23 without its leading zero, and tag 5F34. */
export const DEMO_PSN = '00'

/** ISO/IEC 7813: the card has a chip (2), approvals as usual (0), no restrictions and any verification (1). */
const SERVICE_CODE = '201'

/**
 * Which of the profile's cryptogram versions a card has follows from its number, so that all of them are met.
 *
 * @param atc the transaction counter that was used last; 0 of a new card
 * @param expiry YYMM; absent: that of a card of the demo programme
 * @returns undefined where cards of this profile have no chip
 * @throws KeyRefused where the profile's keys are not development keys
 */
export function demoChip(profile: CardProfile, pan: string, atc: number, expiry = demoExpiry(pan)): VirtualChip | undefined {
  const { chip, cardValue } = profile
  if (chip === undefined) return undefined
  const version = chip.cryptogramVersions[Number(pan.at(-2)) % chip.cryptogramVersions.length] ?? '0A'
  return virtualChip({
    scheme: chip.scheme,
    cvn: CVN[version],
    applicationKey: demoKeys().find(chip.key, 'E0'),
    integrityKey: demoKeys().find(chip.scriptKey, 'E2'),
    pan,
    psn: DEMO_PSN,
    expiry,
    serviceCode: SERVICE_CODE,
    icvv: cardValue === undefined ? '000' : valueOf(pan, { kind: 'icvv', key: cardValue.key, expiry }),
    atc,
  })
}

/** As the schemes call them, by the byte in tag 9F10. */
const CVN: Readonly<Record<NonNullable<CardProfile['chip']>['cryptogramVersions'][number], Personalisation['cvn']>> = {
  '0A': 10,
  '12': 18,
  '22': 22,
  '10': 16,
  '11': 17,
}

/** DE 35 of a swiped card, with its CVV. */
export function demoStripe(profile: CardProfile, pan: string, expiry = demoExpiry(pan)): string {
  const { cardValue } = profile
  const cvv = cardValue === undefined ? '' : valueOf(pan, { kind: 'cvv', key: cardValue.key, expiry, serviceCode: SERVICE_CODE })
  return track(profile, pan, expiry, cvv)
}

/** DE 35 of a card that was tapped where only the stripe is understood: its dCVV is good for this counter alone. */
export function demoContactlessStripe(profile: CardProfile, pan: string, atc: number, expiry = demoExpiry(pan)): string {
  const counter = String(atc % 10_000).padStart(4, '0')
  const value =
    profile.chip === undefined
      ? ''
      : valueOf(pan, { kind: 'dcvv', key: profile.chip.key, expiry, serviceCode: SERVICE_CODE, psn: DEMO_PSN, atc: counter })
  return track(profile, pan, expiry, value + counter)
}

/** The value on the back of the card, DE 48 C2; undefined where there is none. */
export function demoPrintedValue(profile: CardProfile, pan: string, expiry = demoExpiry(pan)): string | undefined {
  const { cardValue } = profile
  return cardValue === undefined ? undefined : valueOf(pan, { kind: 'cvv2', key: cardValue.key, expiry })
}

function track({ cardValue }: CardProfile, pan: string, expiry: string, value: string): string {
  return `${pan}=${expiry}${SERVICE_CODE}${'0'.repeat(cardValue?.trackOffset ?? 0)}${value}`
}

function valueOf(pan: string, value: CardValue): string {
  const [made] = cardValueOperations(demoKeys(), iccMasterKey).cardValues([{ pan, value }])
  if (made?.kind !== 'made') throw new RangeError('a demo card has card verification values')
  return made.digits
}
