/** What the HSM does for a message, as work to measure: each operation over a pool of requests that are all right, made with the development keys. */
import { readChipData } from '../../src/security/chipData.ts'
import { developmentKeys } from '../../src/security/developmentKeys.ts'
import { dukptPinKeys } from '../../src/security/dukptPinKeys.ts'
import type { CryptogramCheck, EncipheredPin, Hsm, MacCheck, PinKey, PinReference } from '../../src/security/hsm.ts'
import { openKeyBlock } from '../../src/security/keyBlock.ts'
import { exportKey } from '../../src/security/keyBlockOperations.ts'
import type { KeyHandle, KeyStore } from '../../src/security/keys.ts'
import { paymentHsm } from '../../src/security/paymentHsm.ts'
import { softwareKeyStore } from '../../src/security/softwareKeys.ts'
import { virtualChip, type Personalisation } from '../../src/security/virtualChip.ts'
import { enterPin } from '../../src/security/virtualPinPad.ts'

/** The HSM of a store, and the store itself for what is not asked through the port. */
export interface BenchedHsm {
  readonly keys: KeyStore
  readonly hsm: Hsm
}

export interface CryptoOperation {
  readonly name: string
  /** Does the work for `count` items, from place `at` of the pool on. @returns whether all of it came out right */
  run(benched: BenchedHsm, at: number, count: number): Promise<boolean>
}

/** Requests of each operation; a multiple of every batch size. */
export const POOL = 256

export async function cryptoOperations(): Promise<CryptoOperation[]> {
  const keys = softwareKeyStore(developmentKeys())
  const hsm = paymentHsm(keys)
  const pin = (method: 'pvv' | 'ibm3624', key: string, enter: (index: number) => EncipheredPin) =>
    pinVerification(hsm, method, key, enter)
  const zone = (format: 0 | 4): ((index: number) => EncipheredPin) => {
    const key = format === 4 ? 'zpk-aes.pos' : 'zpk.pos'
    return (index) => enteredPin(keys.find(key, 'P0'), { by: 'zone', key }, format, index)
  }
  return [
    await pin('pvv', 'pvk.9818', zone(0)).then(named('PIN, PVV, format 0')),
    await pin('pvv', 'pvk.9818', zone(4)).then(named('PIN, PVV, format 4')),
    await pin('ibm3624', 'pvk.981805', zone(0)).then(named('PIN, IBM 3624, format 0')),
    await pin('pvv', 'pvk.9818', dukptPin(keys, 'bdk.tdes')).then(named('PIN, PVV, DUKPT TDES')),
    await pin('pvv', 'pvk.9818', dukptPin(keys, 'bdk.aes')).then(named('PIN, PVV, DUKPT AES-256')),
    translation('PIN translated, 0 to 0', pool(zone(0)), { format: 0, key: 'zpk.atm' }),
    translation('PIN translated, 0 to 4', pool(zone(0)), { format: 4, key: 'zpk-aes.atm' }),
    await cardValueVerification(hsm),
    ...([10, 18, 22] as const).map((cvn) => cryptogramVerification(keys, 'visa', cvn)),
    ...([16, 17] as const).map((cvn) => cryptogramVerification(keys, 'mchip', cvn)),
    await macVerification(hsm, 'retail MAC, 200 bytes', 'mac-retail.pos'),
    await macVerification(hsm, 'CMAC, 200 bytes', 'mac.pos'),
    sealing(),
    await unsealing(hsm),
    keyBlockOpening(exportKey(keys, 'zpk.pos', 'transport.pos')),
  ]
}

const MAC_BYTES = 200
const DUKPT_TERMINALS = 64

function pool<T>(make: (index: number) => T): T[] {
  return Array.from({ length: POOL }, (_, index) => make(index))
}

/** 16 digits; the last is not checked here. */
function panOf(index: number, prefix = '981800'): string {
  return `${prefix}${String(1_000_000_003 + index * 7919).padStart(10, '0')}`
}

function pinOf(index: number): string {
  return String(1000 + ((index * 37) % 9000))
}

function enteredPin(key: KeyHandle, under: PinKey, format: 0 | 4, index: number): EncipheredPin {
  const pan = panOf(index)
  return { block: enterPin(key, format, pan, pinOf(index)), format, under, pan }
}

/** Many terminals, each with a few transactions: as a switch does, the HSM keeps their initial keys after the first. */
function dukptPin(keys: KeyStore, name: 'bdk.tdes' | 'bdk.aes'): (index: number) => EncipheredPin {
  const base = keys.find(name, 'B0')
  const derive = dukptPinKeys(DUKPT_TERMINALS)
  return (index) => {
    const ksn = Buffer.from(name === 'bdk.aes' ? '981800000000000000000000' : 'FFFF9818000000000000', 'hex')
    const counterBytes = name === 'bdk.aes' ? 4 : 3
    ksn.writeUInt16BE((index % DUKPT_TERMINALS) << 5, ksn.length - counterBytes - 1)
    // Behind the terminal's bits, which end in the byte where a TDES counter begins.
    ksn[ksn.length - 1] = 1 + Math.floor(index / DUKPT_TERMINALS)
    const key = derive(base, ksn)
    if (key === undefined) throw new Error('not a KSN of a transaction')
    return enteredPin(key, { by: 'dukpt', key: name, ksn }, name === 'bdk.aes' ? 4 : 0, index)
  }
}

async function pinVerification(
  hsm: Hsm,
  method: 'pvv' | 'ibm3624',
  key: string,
  enter: (index: number) => EncipheredPin,
): Promise<Omit<CryptoOperation, 'name'>> {
  const pins = pool(enter)
  const outcomes = await hsm.pinReferences(pins.map((pin) => ({ ...pin, method, key, pvki: '1' })))
  const checks = outcomes.map((outcome, index) => {
    const pin = pins[index]
    if (outcome.kind !== 'made' || pin === undefined) throw new Error('no reference of a PIN')
    const reference: PinReference = outcome.reference
    return { ...pin, reference }
  })
  return {
    run: async (benched, at, count) =>
      (await benched.hsm.verifyPins(checks.slice(at, at + count))).every((verdict) => verdict === 'valid'),
  }
}

function translation(
  name: string,
  pins: readonly EncipheredPin[],
  to: { readonly format: 0 | 4; readonly key: string },
): CryptoOperation {
  const translations = pins.map((pin) => ({ ...pin, to }))
  return {
    name,
    run: async ({ hsm }, at, count) =>
      (await hsm.translatePins(translations.slice(at, at + count))).every(({ kind }) => kind === 'made'),
  }
}

async function cardValueVerification(hsm: Hsm): Promise<CryptoOperation> {
  const value = { kind: 'cvv', key: 'cvk.9818', expiry: '2812', serviceCode: '201' } as const
  const requests = pool((index) => ({ pan: panOf(index), value }))
  const made = await hsm.cardValues(requests)
  const checks = requests.map((request, index) => {
    const outcome = made[index]
    return { ...request, given: outcome?.kind === 'made' ? outcome.digits : '' }
  })
  return {
    name: 'CVV',
    run: async (benched, at, count) =>
      (await benched.hsm.verifyCardValues(checks.slice(at, at + count))).every((verdict) => verdict === 'valid'),
  }
}

/** The request's cryptogram, and the answer's. */
function cryptogramVerification(keys: KeyStore, scheme: 'visa' | 'mchip', cvn: Personalisation['cvn']): CryptoOperation {
  const prefix = scheme === 'visa' ? '981800' : '981805'
  const key = scheme === 'visa' ? 'imk-ac.9818' : 'imk-ac.981805'
  const checks = pool((index): CryptogramCheck => {
    const pan = panOf(index, prefix)
    const card = { scheme, cvn, applicationKey: keys.find(key, 'E0'), pan, psn: '00', expiry: '2812', serviceCode: '201' }
    const generated = virtualChip({ ...card, icvv: '123' }).generate({
      amount: 12_500,
      country: '818',
      currency: '818',
      date: '270101',
      type: '00',
      unpredictableNumber: Buffer.from([1, 2, 3, index]),
    })
    const read = readChipData(generated)
    if (!read.ok) throw new Error('no chip data')
    return { scheme, key, pan, psn: '00', chip: read.value.chip }
  })
  const approval = { responseCode: '00', approved: true }
  return {
    name: `ARQC and ARPC, ${scheme === 'visa' ? 'Visa' : 'M/Chip'} CVN ${String(cvn)}`,
    run: async ({ hsm }, at, count) => {
      const verdicts = await hsm.verifyCryptograms(checks.slice(at, at + count))
      const answers = verdicts.flatMap((verdict) => (verdict.kind === 'valid' ? [{ session: verdict.session, ...approval }] : []))
      return (await hsm.responseCryptograms(answers)).length === count
    },
  }
}

async function macVerification(hsm: Hsm, name: string, key: string): Promise<CryptoOperation> {
  const requests = pool((index) => ({ key, data: Buffer.alloc(MAC_BYTES, index) }))
  const made = await hsm.macs(requests)
  const checks = requests.map((request, index): MacCheck => {
    const outcome = made[index]
    return { ...request, given: outcome?.kind === 'made' ? outcome.mac.subarray(0, 8) : Buffer.alloc(0) }
  })
  return {
    name,
    run: async (benched, at, count) =>
      (await benched.hsm.verifyMacs(checks.slice(at, at + count))).every((verdict) => verdict === 'valid'),
  }
}

const DATA_KEY = 'data.1'
const rows = (): { data: Buffer; associated: Buffer }[] =>
  pool((index) => ({ data: Buffer.from(panOf(index), 'latin1'), associated: Buffer.from(`pan|0|${String(index)}`, 'latin1') }))

function sealing(): CryptoOperation {
  const requests = rows()
  return {
    name: 'seal a card number',
    run: async ({ hsm }, at, count) => (await hsm.seal(DATA_KEY, requests.slice(at, at + count))).length === count,
  }
}

async function unsealing(hsm: Hsm): Promise<CryptoOperation> {
  const requests = rows()
  const sealed = (await hsm.seal(DATA_KEY, requests)).map((data, index) => ({ ...requests[index], data }))
  const whole = sealed.map(({ data, associated = Buffer.alloc(0) }) => ({ data, associated }))
  return {
    name: 'unseal it',
    run: async (benched, at, count) =>
      (await benched.hsm.unseal(DATA_KEY, whole.slice(at, at + count))).every((clear) => clear !== undefined),
  }
}

/** One by one: the port has no batch of them. */
function keyBlockOpening(block: string): CryptoOperation {
  return {
    name: 'open a TR-31 block, version D',
    run: ({ keys }, _at, count) => {
      const under = keys.find('transport.pos', 'K1')
      let opened = 0
      for (let item = 0; item < count; item++) {
        openKeyBlock(block, under).reveal().fill(0)
        opened++
      }
      return Promise.resolve(opened === count)
    },
  }
}

function named(name: string): (operation: Omit<CryptoOperation, 'name'>) => CryptoOperation {
  return (operation) => ({ name, ...operation })
}
