/** The payment operations over a key store: the one implementation of the HSM port, whatever holds the keys. */
import { cardValueOperations } from './cardValueOperations.ts'
import { iccMasterKey } from './chipKeys.ts'
import { responseCryptograms, scriptCommands, verifyCryptograms } from './chipOperations.ts'
import { dataOperations } from './dataOperations.ts'
import type { Hsm } from './hsm.ts'
import { exportKey, importKey } from './keyBlockOperations.ts'
import type { KeyStore } from './keys.ts'
import { macOperations } from './macOperations.ts'
import { pinOperations } from './pinOperations.ts'

/** Initial keys of DUKPT terminals that are kept. */
const DUKPT_TERMINALS_MAX = 100_000

export function paymentHsm(keys: KeyStore): Hsm {
  const pins = pinOperations(keys, DUKPT_TERMINALS_MAX)
  const values = cardValueOperations(keys, iccMasterKey)
  const macs = macOperations(keys)
  const data = dataOperations(keys)
  return {
    kind: keys.kind,
    keys: () => keys.list(),
    verifyPins: (batch) => done(() => pins.verifyPins(batch)),
    pinReferences: (batch) => done(() => pins.pinReferences(batch)),
    translatePins: (batch) => done(() => pins.translatePins(batch)),
    verifyCryptograms: (batch) => done(() => verifyCryptograms(keys, batch)),
    responseCryptograms: (batch) => done(() => responseCryptograms(batch)),
    scriptCommands: (batch) => done(() => scriptCommands(keys, batch)),
    verifyCardValues: (batch) => done(() => values.verifyCardValues(batch)),
    cardValues: (batch) => done(() => values.cardValues(batch)),
    verifyMacs: (batch) => done(() => macs.verifyMacs(batch)),
    macs: (batch) => done(() => macs.macs(batch)),
    seal: (key, batch) => done(() => data.seal(key, batch)),
    unseal: (key, batch) => done(() => data.unseal(key, batch)),
    importKey: (block, under, name) => done(() => importKey(keys, block, under, name)),
    exportKey: (name, under) => done(() => exportKey(keys, name, under)),
    removeKey: (name) =>
      done(() => {
        keys.remove(name)
      }),
    close: () =>
      done(() => {
        keys.close()
      }),
  }
}

/** What throws rejects: a caller need not know which operations wait. */
function done<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(work())
  })
}
