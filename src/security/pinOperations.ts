/** The operations of the HSM on PINs: verify, make a reference, translate. Synchronous; each item has its own verdict. */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { forEachKey } from './byKey.ts'
import { withClearPins, type OpenedPin } from './clearPins.ts'
import { dukptPinKeys } from './dukptPinKeys.ts'
import type {
  PinCheck,
  PinReference,
  PinReferenceOutcome,
  PinReferenceRequest,
  PinTranslation,
  PinTranslationOutcome,
  PinVerdict,
} from './hsm.ts'
import type { KeyStore } from './keys.ts'
import {
  buildPinBlock,
  encipherPinBlocks,
  PIN_BLOCK_RANDOM_BYTES_MAX,
  PIN_DIGITS_MAX,
  pinBlockBytes,
  type ClearPin,
} from './pinBlock.ts'
import { naturalPins, NATURAL_PIN_DIGITS, offsetOf, pinOf, PVV_DIGITS, validationDataOf, visaPvvs } from './pinVerification.ts'

export interface PinOperations {
  verifyPins(batch: readonly PinCheck[]): PinVerdict[]
  pinReferences(batch: readonly PinReferenceRequest[]): PinReferenceOutcome[]
  translatePins(batch: readonly PinTranslation[]): PinTranslationOutcome[]
}

/** @param terminalsMax how many terminals' DUKPT keys are remembered */
export function pinOperations(keys: KeyStore, terminalsMax: number): PinOperations {
  const dukpt = dukptPinKeys(terminalsMax)
  return {
    verifyPins: (batch) => withClearPins(keys, dukpt, batch, (pins) => verify(keys, batch, pins)),
    pinReferences: (batch) => withClearPins(keys, dukpt, batch, (pins) => makeReferences(keys, batch, pins)),
    translatePins: (batch) => withClearPins(keys, dukpt, batch, (pins) => translate(keys, batch, pins)),
  }
}

/** Right and wrong PINs take the same way: the value is made of the PIN that came, or the PIN of the reference, and then compared. */
function verify(keys: KeyStore, batch: readonly PinCheck[], pins: readonly OpenedPin[]): PinVerdict[] {
  const verdicts = pins.map((pin): PinVerdict => (typeof pin === 'string' ? pin : 'refused'))
  const keyOf = ({ reference }: PinCheck, place: number): string | undefined =>
    typeof pins[place] !== 'string' && isReference(reference) ? `${reference.method} ${reference.key}` : undefined
  forEachKey(batch, keyOf, ({ reference: { method, key } }, places) => {
    const items = clearItems(batch, pins, places)
    const fits = method === 'pvv' ? fitPvvs(keys, key, items) : fitOffsets(keys, key, items)
    for (const [index, fit] of fits.entries()) verdicts[places[index] ?? 0] = fit ? 'valid' : 'invalid'
  })
  return verdicts
}

function fitPvvs(keys: KeyStore, key: string, items: readonly Clear<PinCheck>[]): boolean[] {
  const expected = Buffer.alloc(items.length * PVV_DIGITS)
  const requests = items.map(({ item: { pan, reference }, pin }, index) => {
    if (reference.method === 'pvv') setDigits(expected, index * PVV_DIGITS, reference.pvv)
    return { pan, pvki: reference.method === 'pvv' ? reference.pvki : '', pin }
  })
  const made = visaPvvs(keys.find(key, 'V2'), requests)
  return items.map((_, index) => timingSafeEqual(part(made, index, PVV_DIGITS), part(expected, index, PVV_DIGITS)))
}

function fitOffsets(keys: KeyStore, key: string, items: readonly Clear<PinCheck>[]): boolean[] {
  const natural = naturalPins(
    keys.find(key, 'V1'),
    items.map(({ item }) => validationDataOf(item.pan)),
  )
  const expected = Buffer.alloc(PIN_DIGITS_MAX)
  const given = Buffer.alloc(PIN_DIGITS_MAX)
  const fits = items.map(({ item: { reference }, pin }, index) => {
    if (reference.method !== 'ibm3624') return false
    const right = pinOf(reference.offset, part(natural, index, NATURAL_PIN_DIGITS))
    // No digit is 255, so that PINs of different lengths differ.
    expected.fill(0xff).set(right)
    given.fill(0xff).set(pin)
    right.fill(0)
    return timingSafeEqual(expected, given)
  })
  for (const secret of [natural, expected, given]) secret.fill(0)
  return fits
}

function makeReferences(
  keys: KeyStore,
  batch: readonly PinReferenceRequest[],
  pins: readonly OpenedPin[],
): PinReferenceOutcome[] {
  const outcomes = pins.map((pin): PinReferenceOutcome => ({ kind: typeof pin === 'string' ? pin : 'refused' }))
  const keyOf = ({ method, key, pvki }: PinReferenceRequest, place: number): string | undefined =>
    typeof pins[place] === 'string' || (method === 'pvv' && !isPvki(pvki)) ? undefined : `${method} ${key}`
  forEachKey(batch, keyOf, ({ method, key }, places) => {
    const items = clearItems(batch, pins, places)
    const references = method === 'pvv' ? makePvvs(keys, key, items) : makeOffsets(keys, key, items)
    for (const [index, reference] of references.entries()) outcomes[places[index] ?? 0] = { kind: 'made', reference }
  })
  return outcomes
}

function makePvvs(keys: KeyStore, key: string, items: readonly Clear<PinReferenceRequest>[]): PinReference[] {
  const pvvs = visaPvvs(
    keys.find(key, 'V2'),
    items.map(({ item: { pan, pvki }, pin }) => ({ pan, pvki, pin })),
  )
  return items.map(({ item: { pvki } }, index) => ({ method: 'pvv', key, pvki, pvv: part(pvvs, index, PVV_DIGITS).join('') }))
}

function makeOffsets(keys: KeyStore, key: string, items: readonly Clear<PinReferenceRequest>[]): PinReference[] {
  const natural = naturalPins(
    keys.find(key, 'V1'),
    items.map(({ item }) => validationDataOf(item.pan)),
  )
  const references = items.map(({ pin }, index): PinReference => {
    return { method: 'ibm3624', key, offset: offsetOf(pin, part(natural, index, NATURAL_PIN_DIGITS)) }
  })
  natural.fill(0)
  return references
}

/** Key and format change, never the PAN: a translation has only one. */
function translate(keys: KeyStore, batch: readonly PinTranslation[], pins: readonly OpenedPin[]): PinTranslationOutcome[] {
  const outcomes = pins.map((pin): PinTranslationOutcome => ({ kind: typeof pin === 'string' ? pin : 'refused' }))
  const keyOf = ({ to }: PinTranslation, place: number): string | undefined =>
    typeof pins[place] === 'string' ? undefined : `${String(to.format)} ${to.key}`
  forEachKey(batch, keyOf, ({ to: { format, key } }, places) => {
    const handle = keys.find(key, 'P0')
    const items = clearItems(batch, pins, places)
    const bytes = pinBlockBytes(format)
    const clear = Buffer.alloc(items.length * bytes)
    const random = randomOfBatch(items.length)
    for (const [index, { item, pin }] of items.entries()) {
      const block = buildPinBlock(format, pin, item.pan, random)
      clear.set(block, index * bytes)
      block.fill(0)
    }
    try {
      const pans = items.map(({ item }) => item.pan)
      const enciphered = encipherPinBlocks(format, handle, clear, pans)
      for (const [index, place] of places.entries()) outcomes[place] = { kind: 'made', block: part(enciphered, index, bytes) }
    } finally {
      clear.fill(0)
    }
  })
  return outcomes
}

/** One call of the generator for a batch: it costs more than all the rest of a block. */
function randomOfBatch(blocks: number): (bytes: number) => Uint8Array {
  const pool = randomBytes(blocks * PIN_BLOCK_RANDOM_BYTES_MAX)
  let taken = 0
  return (bytes) => {
    const start = taken
    taken += bytes
    return pool.subarray(start, taken)
  }
}

interface Clear<Item> {
  readonly item: Item
  readonly pin: ClearPin
}

function clearItems<Item>(batch: readonly Item[], pins: readonly OpenedPin[], places: readonly number[]): Clear<Item>[] {
  return places.flatMap((place) => {
    const item = batch[place]
    const pin = pins[place]
    return item === undefined || pin === undefined || typeof pin === 'string' ? [] : [{ item, pin }]
  })
}

/** Ours are read from our books: one that is malformed is our fault, and `refused`. */
function isReference(reference: PinReference): boolean {
  if (reference.method === 'pvv') return isPvki(reference.pvki) && /^\d{4}$/.test(reference.pvv)
  return /^\d{4,12}$/.test(reference.offset)
}

function isPvki(pvki: string): boolean {
  return /^\d$/.test(pvki)
}

function setDigits(bytes: Buffer, start: number, digits: string): void {
  for (let place = 0; place < digits.length; place++) bytes[start + place] = digits.charCodeAt(place) - ZERO
}

const ZERO = 48

function part(bytes: Buffer, index: number, count: number): Buffer {
  return bytes.subarray(index * count, (index + 1) * count)
}
