/** The operations of the HSM on MACs. Synchronous; each item has its own verdict. */
import { timingSafeEqual } from 'node:crypto'
import { forEachKey } from './byKey.ts'
import type { MacCheck, MacOutcome, MacRequest, Verdict } from './hsm.ts'
import { KeyRefused, type KeyHandle, type KeyStore } from './keys.ts'

export interface MacOperations {
  verifyMacs(batch: readonly MacCheck[]): Verdict[]
  macs(batch: readonly MacRequest[]): MacOutcome[]
}

export function macOperations(keys: KeyStore): MacOperations {
  /** Which of the two a name was last: a request does not say, and a store that refuses costs more than the MAC. */
  const usages = new Map<string, 'M3' | 'M6'>()
  const find = (name: string): KeyHandle => {
    const before = usages.get(name) ?? 'M3'
    try {
      return keys.find(name, before)
    } catch (error) {
      if (!(error instanceof KeyRefused)) throw error
      const other = before === 'M3' ? 'M6' : 'M3'
      const handle = keys.find(name, other)
      usages.set(name, other)
      return handle
    }
  }
  const make = (batch: readonly MacRequest[]): (Buffer | undefined)[] => {
    const made = batch.map((): Buffer | undefined => undefined)
    forEachKey(
      batch,
      ({ key }) => key,
      ({ key }, places) => {
        const macs = find(key).macs(places.map((place) => batch[place]?.data ?? NOTHING))
        for (const [index, place] of places.entries()) made[place] = macs[index]
      },
    )
    return made
  }
  return {
    verifyMacs: (batch) =>
      make(batch).map((mac, index) =>
        mac === undefined ? 'refused' : fits(mac, batch[index]?.given ?? NOTHING) ? 'valid' : 'invalid',
      ),
    macs: (batch) => make(batch).map((mac) => (mac === undefined ? { kind: 'refused' } : { kind: 'made', mac })),
  }
}

const NOTHING = new Uint8Array(0)

/** DE 64 and DE 128. Fewer would be easier to guess, and none would fit everything. */
const GIVEN_BYTES_MIN = 8

function fits(mac: Buffer, given: Uint8Array): boolean {
  if (given.length < GIVEN_BYTES_MIN || given.length > mac.length) return false
  return timingSafeEqual(mac.subarray(0, given.length), given)
}
