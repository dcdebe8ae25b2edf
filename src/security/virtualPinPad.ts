/** A PIN pad in software, for load generators, `sarf send` and tests: real PIN blocks under a key that the switch has too. */
import type { PinFormat } from './hsm.ts'
import type { KeyHandle } from './keys.ts'
import { buildPinBlock, encipherPinBlocks } from './pinBlock.ts'

/**
 * @param key P0: TDES for formats 0 and 3, AES for 4
 * @param pin 4 to 12 digits
 * @returns the enciphered block, 8 or 16 bytes
 */
export function enterPin(key: KeyHandle, format: PinFormat, pan: string, pin: string): Buffer {
  return encipherPinBlocks(format, key, buildPinBlock(format, Uint8Array.from(pin, Number), pan), [pan])
}
