/** PINs of demo cards, and what they are verified against: with the development keys, so that whoever knows a card number knows its PIN. */
import { profileOf, type SecurityParameters } from '../securityParameters.ts'
import { developmentKeys } from '../security/developmentKeys.ts'
import { naturalPins, offsetOf, visaPvvs, PVV_DIGITS, validationDataOf } from '../security/pinVerification.ts'
import type { PinFormat } from '../security/hsm.ts'
import type { KeyHandle, KeyStore } from '../security/keys.ts'
import { enterPin } from '../security/virtualPinPad.ts'
import { softwareKeyStore } from '../security/softwareKeys.ts'

/** The four digits before the check digit. */
export function demoPin(pan: string): string {
  return pan.slice(-5, -1)
}

/** The block that a demo terminal's PIN pad makes of the PIN that goes with a demo card, or of another one. */
export function demoPinBlock(pan: string, pin: string = demoPin(pan), format: PinFormat = 0): Buffer {
  return enterPin(demoKeys().find(format === 4 ? 'zpk-aes.pos' : 'zpk.pos', 'P0'), format, pan, pin)
}

let store: KeyStore | undefined

/** The development keys, in a store that everything here shares. */
export function demoKeys(): KeyStore {
  return (store ??= softwareKeyStore(developmentKeys()))
}

/** @returns a function from a card number to its reference value, null for a range whose PINs are not verified */
export function demoPinReferences(security: Pick<SecurityParameters, 'profiles'>): (pan: string) => string | null {
  const keys = demoKeys()
  return (pan) => {
    const profile = profileOf(security, pan)?.pin
    if (profile === undefined) return null
    return profile.method === 'pvv'
      ? pvv(keys.find(profile.key, 'V2'), pan, profile.pvki)
      : offset(keys.find(profile.key, 'V1'), pan)
  }
}

function pvv(key: KeyHandle, pan: string, pvki: string): string {
  return [...visaPvvs(key, [{ pan, pvki, pin: digits(demoPin(pan)) }]).subarray(0, PVV_DIGITS)].join('')
}

function offset(key: KeyHandle, pan: string): string {
  return offsetOf(digits(demoPin(pan)), naturalPins(key, [validationDataOf(pan)]))
}

function digits(text: string): Uint8Array {
  return Uint8Array.from(text, Number)
}
