/** The operations of the HSM on stored data: enciphered with AES-256-GCM, bound to the row it belongs to. Synchronous. */
import { randomFillSync } from 'node:crypto'
import type { SealRequest } from './hsm.ts'
import type { KeyStore } from './keys.ts'

export interface DataOperations {
  /** Nonce, cipher text, tag. @throws KeyRefused */
  seal(key: string, batch: readonly SealRequest[]): Buffer[]
  /** @returns undefined where an item was not sealed under this key for this row. @throws KeyRefused */
  unseal(key: string, batch: readonly SealRequest[]): (Buffer | undefined)[]
}

/** @param random fills the nonces. Of random nonces a key takes 2^32 (NIST SP 800-38D 8.3), then it is due for a change */
export function dataOperations(keys: KeyStore, random: (bytes: Buffer) => Buffer = randomFillSync): DataOperations {
  return {
    seal: (key, batch) => {
      const handle = keys.find(key, 'D0')
      const nonces = random(Buffer.alloc(batch.length * NONCE_BYTES))
      return batch.map(({ data, associated }, index) => {
        const nonce = nonces.subarray(index * NONCE_BYTES, (index + 1) * NONCE_BYTES)
        return Buffer.concat([nonce, handle.seal(nonce, data, associated)])
      })
    },
    unseal: (key, batch) => {
      const handle = keys.find(key, 'D0')
      return batch.map(({ data, associated }) =>
        data.length < NONCE_BYTES
          ? undefined
          : handle.unseal(data.subarray(0, NONCE_BYTES), data.subarray(NONCE_BYTES), associated),
      )
    },
  }
}

const NONCE_BYTES = 12
