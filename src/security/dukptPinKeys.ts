/** PIN keys by DUKPT, with a bounded memory of the terminals: the base key, which may live in a token, is asked once a terminal. */
import { aesCounter, aesInitialKey, aesInitialKeyId, aesTransactionKeys, aesWorkingKey } from './dukptAes.ts'
import type { CounterKeys } from './dukptPath.ts'
import { tdesCounter, tdesInitialKey, tdesInitialKeyId, tdesTransactionKeys, tdesVariantKey } from './dukptTdes.ts'
import type { KeyHandle } from './keys.ts'
import { softwareKey } from './softwareKeys.ts'

/**
 * @param base B0
 * @param ksn 10 bytes with a TDES base key, 12 with AES
 * @returns undefined where that is no KSN of a transaction. @throws KeyRefused with a base key of a length that DUKPT does not have
 */
export type DukptPinKeys = (base: KeyHandle, ksn: Uint8Array) => KeyHandle | undefined

/** @param terminalsMax how many terminals' keys are remembered; the one that was silent longest goes first */
export function dukptPinKeys(terminalsMax: number): DukptPinKeys {
  const terminals = new Map<string, CounterKeys>()
  return (base, ksn) => {
    const { name, algorithm, kcv } = base.info
    const counter = algorithm === 'A' ? aesCounter(ksn) : tdesCounter(ksn)
    if (counter === undefined) return undefined
    // With the check value, because a key may be replaced under its name.
    const terminal = `${name} ${kcv} ${algorithm === 'A' ? aesInitialKeyId(ksn) : tdesInitialKeyId(ksn)}`
    let keys = terminals.get(terminal)
    if (keys === undefined) {
      keys =
        algorithm === 'A'
          ? aesTransactionKeys(aesInitialKey(base, ksn), ksn)
          : tdesTransactionKeys(tdesInitialKey(base, ksn), ksn)
    } else {
      terminals.delete(terminal)
    }
    terminals.set(terminal, keys)
    for (const oldest of terminals.keys()) {
      if (terminals.size <= terminalsMax) break
      terminals.delete(oldest)
    }
    const transactionKey = keys(counter)
    const value = algorithm === 'A' ? aesWorkingKey(transactionKey, 'pin', ksn) : tdesVariantKey(transactionKey, 'pin')
    transactionKey.fill(0)
    const key = softwareKey({ name: `${name} (derived)`, usage: 'P0', algorithm, exportable: false, value })
    value.fill(0)
    return key
  }
}
