/**
 * Enciphers what is kept of cards and persons (card number, national ID, mobile number) and the secrets of webhooks. AES-256-GCM (NIST SP 800-38D) under a data key (usage
 * D0), with the name of the key stored beside.
 *
 *   sealed value:     nonce, 12 random bytes · cipher text, as long as the clear text · tag, 16 bytes
 *   associated data:  `sarf data 1|<field>|<shard>|<owner>`
 *
 * The associated data binds a value to its place: one that was copied to another person, card or column does not open there. Random nonces
 * are safe for 2^32 values a key (SP 800-38D 8.3); a country's cards and persons are 3 * 10^8, so that a key has to be changed long after its time.
 */
import { randomFillSync } from 'node:crypto'
import { KeyRefused, type KeyHandle, type KeyStore } from './keys.ts'

export type SealedField = 'pan' | 'national-id' | 'mobile' | 'webhook-secret'

/** Where a sealed value stands. */
export interface SealedPlace {
  readonly field: SealedField
  readonly shard: number
  /** The card's token, the person's or the webhook's id. */
  readonly owner: string | number
}

export interface DataVault {
  /** The key that values are sealed with, to be stored beside them. */
  readonly keyId: string
  /** @param clear ASCII: the digits of a number, a secret */
  seal(place: SealedPlace, clear: string): Buffer
  /** @param keyId as it was stored beside @throws DataUnreadable, or KeyRefused where the key is not there */
  unseal(keyId: string, place: SealedPlace, sealed: Uint8Array): string
  /** The same value under this vault's key. @throws like unseal */
  reseal(keyId: string, place: SealedPlace, sealed: Uint8Array): Buffer
}

/** A sealed value does not open: it was changed, or stands where it was not sealed for. The message names the place, never the value. */
export class DataUnreadable extends Error {
  override readonly name = 'DataUnreadable'
}

/** A number of its own for each key: `data.1`. What a row in the database names cannot be a key of another family. */
const KEY_NAME = /^data\.[1-9]\d{0,8}$/
const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16

/**
 * @param current the name of the key to seal with, `data.<n>`; values under any other such key of the store can be read
 * @throws KeyRefused where that key is not there or none of AES-256
 */
export function dataVault(keys: KeyStore, current: string): DataVault {
  const handles = new Map<string, KeyHandle>()
  const handleOf = (name: string): KeyHandle => {
    const known = handles.get(name)
    if (known !== undefined) return known
    if (!KEY_NAME.test(name)) throw new KeyRefused('a data key is named data.1, data.2 and so on')
    const handle = keys.find(name, 'D0')
    const { algorithm, bytes } = handle.info
    if (algorithm !== 'A' || bytes !== KEY_BYTES) throw new KeyRefused(`key ${name} is no key of AES-256`)
    handles.set(name, handle)
    return handle
  }
  const own = handleOf(current)
  const sealBytes = (place: SealedPlace, clear: Uint8Array): Buffer => {
    const nonce = nextNonce()
    return Buffer.concat([nonce, own.seal(nonce, clear, associatedData(place))])
  }
  const unsealBytes = (keyId: string, place: SealedPlace, sealed: Uint8Array): Buffer => {
    const handle = handleOf(keyId)
    const nonce = sealed.subarray(0, NONCE_BYTES)
    const clear =
      sealed.length < NONCE_BYTES + TAG_BYTES
        ? undefined
        : handle.unseal(nonce, sealed.subarray(NONCE_BYTES), associatedData(place))
    if (clear === undefined) {
      throw new DataUnreadable(
        `${place.field} of ${String(place.owner)} in shard ${String(place.shard)} does not open with ${keyId}`,
      )
    }
    return clear
  }
  return {
    keyId: current,
    seal: (place, clear) => sealBytes(place, Buffer.from(clear, 'latin1')),
    unseal: (keyId, place, sealed) => unsealBytes(keyId, place, sealed).toString('latin1'),
    reseal: (keyId, place, sealed) => {
      const clear = unsealBytes(keyId, place, sealed)
      const again = sealBytes(place, clear)
      clear.fill(0)
      return again
    },
  }
}

function associatedData({ field, shard, owner }: SealedPlace): Buffer {
  return Buffer.from(`sarf data 1|${field}|${String(shard)}|${String(owner)}`, 'latin1')
}

const NONCES_DRAWN = 1024
const nonces = Buffer.alloc(NONCES_DRAWN * NONCE_BYTES)
let drawn = NONCES_DRAWN

/** Drawn from the system's generator many at a time, each used once. */
function nextNonce(): Buffer {
  if (drawn === NONCES_DRAWN) {
    randomFillSync(nonces)
    drawn = 0
  }
  const at = drawn * NONCE_BYTES
  drawn++
  return nonces.subarray(at, at + NONCE_BYTES)
}
